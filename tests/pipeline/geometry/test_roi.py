import copy
import operator
import pickle
from fractions import Fraction
from types import SimpleNamespace

import funlib.geometry
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.testing.strategies import coordinates, rois, rois_on_grid, voxel_sizes

NOTHING = Roi((None, None), (0, 0))
EVERYWHERE = Roi((None, None), (None, None))
HALF = Roi((None, 0), (None, 5))


def regions(count, **options):
    """Some regions of the same number of dimensions."""
    return st.integers(1, 3).flatmap(lambda dims: st.tuples(*[rois(dims, **options)] * count))


def inside(point, roi):
    """Containment by the book: entry by entry."""
    return not roi.empty and all(
        (b is None or b <= p) and (e is None or p < e)
        for p, b, e in zip(point, roi.begin, roi.end, strict=True)
    )


def theirs(roi):
    return funlib.geometry.Roi(tuple(roi.offset), tuple(roi.shape))


def test_faces():
    roi = Roi((1, 2), (10, 21))
    assert roi.offset == roi.begin == roi.get_offset() == roi.get_begin() == (1, 2)
    assert roi.shape == roi.get_shape() == (10, 21)
    assert roi.end == roi.get_end() == (11, 23)
    assert roi.center == roi.get_center() == (6, Fraction(25, 2))
    assert roi.size == roi.get_size() == 210
    assert roi.dims == 2
    assert not roi.empty
    assert not roi.unbounded
    assert Roi((0.5,), (9.8,)).size == Fraction(49, 5)
    assert type(Roi((0, 0), (0.5, 4)).size) is int


def test_unbounded_and_empty():
    assert EVERYWHERE.unbounded
    assert EVERYWHERE.size is None
    assert Roi((3, 4), (None, 5)) == Roi((None, 4), (None, 5))
    assert HALF.unbounded
    assert NOTHING.empty
    assert Roi((1, 1), (5, -2)).empty
    assert NOTHING.size == 0
    with pytest.raises(ValueError, match="needs an offset wherever the shape is bounded"):
        Roi((None, 1), (5, 5))
    with pytest.raises(ValueError, match="equal length"):
        Roi((1, 2), (1,))


def test_text():
    assert repr(Roi((0, 0), (10, 20))) == "[0:10, 0:20] (10, 20)"
    assert repr(HALF) == "[:, 0:5] (inf, 5)"
    assert repr(NOTHING) == "[empty ROI]"
    assert repr(Roi((0.2,), (9.8,))) == "[0.2:10] (9.8)"


def test_slices():
    assert Roi((2, 0), (3, 4)).to_slices() == (slice(2, 5), slice(0, 4))
    assert HALF.to_slices() == (slice(None, None), slice(0, 5))
    assert NOTHING.get_bounding_box() == (slice(None, 0), slice(None, 0))
    assert Roi((2,), (-3,)).to_slices() == (slice(None, 0),)
    with pytest.raises(ValueError, match="divide by the voxel size"):
        Roi((0.5,), (3,)).to_slices()
    with pytest.raises(ValueError, match="whole voxels"):
        Roi((0, 0), (3, 0.5)).to_slices()


def test_it_is_frozen_and_says_what_to_do():
    roi = Roi((1, 2), (3, 4))
    for change in (
        lambda: setattr(roi, "offset", (0, 0)),
        lambda: setattr(roi, "shape", (0, 0)),
        lambda: setattr(roi, "anything", 1),
        lambda: roi.set_offset((0, 0)),
        lambda: roi.set_shape((0, 0)),
        lambda: delattr(roi, "shape"),
    ):
        with pytest.raises(AttributeError, match="a Roi is frozen"):
            change()
    with pytest.raises(AttributeError, match=r"spec\.roi = Roi"):
        roi.offset = (0, 0)
    with pytest.raises(AttributeError, match="frozen for good"):
        roi.thaw()
    roi.freeze()
    assert roi == Roi((1, 2), (3, 4))


@given(rois(unbounded=True))
def test_equal_regions_hash_alike_and_copies_are_equal(roi):
    again = pickle.loads(pickle.dumps(roi))
    assert again == roi
    assert hash(again) == hash(roi)
    assert type(again) is Roi
    assert roi.copy() is copy.copy(roi) is copy.deepcopy(roi) is roi
    assert roi != "something else"
    assert roi != roi + 1 or None in roi.offset


@given(st.data(), rois(unbounded=True))
def test_contains_points(data, roi):
    points = coordinates(roi.dims)
    if not roi.empty and not roi.unbounded and data.draw(st.booleans()):
        points = st.sampled_from([roi.begin, roi.end, roi.center, (roi.begin + roi.end) / 2])
    point = data.draw(points)
    assert roi.contains(point) == inside(point, roi)
    assert roi.contains(np.array(point.to_float())) in (True, False)


def test_contains_points_of_all_sorts():
    roi = Roi((9.8, 0), (9.8, 10))
    assert roi.contains((9.8, 0))
    assert roi.contains(np.array([9.8, 0.0]))
    assert not roi.contains((19.6, 0))
    assert roi.contains((19.599, 9.999))
    assert not roi.contains((float("nan"), 1))
    assert Roi((0.3,), (1,)).contains((0.3,))  # the float 0.3 is a little less than 3/10
    assert not Roi((0,), (0.3,)).contains(np.array([0.3]))
    assert not roi.contains((None, 1))
    assert not roi.contains((1, 1, 1))
    assert EVERYWHERE.contains((None, 1))
    for bad in (None, 5, "ab"):
        with pytest.raises(TypeError, match="contains regions and points"):
            roi.contains(bad)


def test_an_empty_region_contains_nothing():
    for empty in (NOTHING, Roi((3, 3), (0, 5))):
        for other in (NOTHING, EVERYWHERE, Roi((3, 3), (1, 1)), Roi((3, 3), (0, 0)), (3, 3)):
            assert not empty.contains(other)


def test_a_region_may_contain_an_empty_one():
    roi = Roi((0, 0), (10, 10))
    assert not roi.contains(NOTHING)
    assert roi.contains(Roi((3, 3), (0, 5)))
    assert not roi.contains(Roi((10, 3), (0, 5)))
    assert EVERYWHERE.contains(NOTHING)


def test_contains_unbounded():
    assert EVERYWHERE.contains(EVERYWHERE)
    assert EVERYWHERE.contains(HALF)
    assert HALF.contains(Roi((7, 1), (7, 4)))
    assert not HALF.contains(EVERYWHERE)
    assert not Roi((0, 0), (5, 5)).contains(HALF)
    assert not Roi((0, 0), (5, 5)).contains(Roi((0,), (5,)))


@given(regions(2, unbounded=True))
def test_the_intersection_lies_in_both(pair):
    a, b = pair
    common = a.intersect(b)
    assert common == b.intersect(a)
    assert common.empty == (not a.intersects(b))
    if common.empty:
        assert common == Roi((None,) * a.dims, (0,) * a.dims)
    else:
        assert a.contains(common)
        assert b.contains(common)


@given(st.data(), regions(2, unbounded=True))
def test_a_point_lies_in_the_intersection_if_in_both(data, pair):
    a, b = pair
    bounds = [
        st.sampled_from([entry for entry in entries if entry is not None] or [0])
        for entries in zip(a.begin, b.begin, a.end, b.end, strict=True)
    ]
    point = Coordinate(data.draw(st.tuples(*bounds)))
    assert a.intersect(b).contains(point) == (inside(point, a) and inside(point, b))


@given(regions(3, unbounded=True))
def test_the_union_is_the_smallest_around_both(three):
    a, b, other = three
    union = a.union(b)
    assert union == b.union(a) or (a.empty and b.empty)
    for part in (a, b):
        assert part.empty or union.contains(part)
    if not a.empty and not b.empty and other.contains(a) and other.contains(b):
        assert other.contains(union)
    assert a.union(a) == a
    assert a.intersect(a) == a or a.empty


@given(regions(2, unbounded=True))
def test_containing_is_what_intersecting_gives_back(pair):
    a, b = pair
    if not b.empty:
        assert a.contains(b) == (a.intersect(b) == b)


def test_touching_regions_do_not_intersect():
    assert not Roi((0,), (5,)).intersects(Roi((5,), (5,)))
    assert Roi((0,), (5.5,)).intersects(Roi((5,), (5,)))
    assert not HALF.intersects(Roi((0, 5), (3, 3)))
    assert not Roi((0, 5), (3, 3)).intersects(HALF)
    assert HALF.intersects(Roi((0, 4), (3, 3)))
    with pytest.raises(ValueError, match="different dimensions"):
        Roi((0,), (5,)).intersects(NOTHING)
    with pytest.raises(ValueError, match="different dimensions"):
        Roi((0,), (5,)).union(NOTHING)


@given(st.data(), rois(unbounded=True))
def test_shifting_back_and_shrinking_back(data, roi):
    by, pos = data.draw(coordinates(roi.dims)), data.draw(coordinates(roi.dims))
    assert roi.shift(by).shift(-by) == roi
    assert roi + by == roi.shift(by)
    assert roi - by == roi.shift(-by)
    assert roi.grow(by, pos).grow(-by, -pos) == roi
    assert roi.grow(tuple(by)) == roi.grow(by, 0)
    assert roi.grow() == roi


def test_growing_nothing_gives_nothing():
    assert NOTHING.grow(5, 5) == NOTHING
    assert NOTHING + 3 == NOTHING
    assert HALF.grow(1, (2, 3)) == Roi((None, -1), (None, 9))


@given(st.data(), rois(unbounded=True))
def test_snapping(data, roi):
    size = data.draw(voxel_sizes(roi.dims))
    grown = roi.snap_to_grid(size)
    shrunk, closest = (roi.snap_to_grid(size, mode) for mode in ("shrink", "closest"))
    for snapped in (grown, shrunk, closest):
        voxels = snapped / size
        assert all(entry is None or type(entry) is int for entry in voxels.offset + voxels.shape)
        assert snapped.snap_to_grid(size) == snapped
        assert snapped.unbounded == roi.unbounded
    if not roi.empty:
        assert grown.contains(roi)
        assert shrunk.empty or roi.contains(shrunk)
        grid_step = Roi((0,) * roi.dims, size).shape
        assert roi.unbounded or not grown.grow(-grid_step, 0).contains(roi)


def test_snapping_nothing_gives_nothing():
    for mode in ("grow", "shrink", "closest"):
        assert NOTHING.snap_to_grid((3, 4), mode) == NOTHING
        assert EVERYWHERE.snap_to_grid((3, 4), mode) == EVERYWHERE


def test_snapping_refuses_what_is_no_grid():
    roi = Roi((0, 0), (5, 5))
    with pytest.raises(ValueError, match="of 2 dimensions to voxel size"):
        roi.snap_to_grid((1,))
    for bad in ((0, 1), (1, -2)):
        with pytest.raises(ValueError, match="positive in every dimension"):
            roi.snap_to_grid(bad)
    with pytest.raises(RuntimeError, match="'grow', 'shrink' or 'closest'"):
        roi.snap_to_grid((1, 1), "outwards")


@given(st.data(), voxel_sizes())
def test_world_and_voxels(data, size):
    world = data.draw(rois_on_grid(size))
    voxels = world / size
    assert voxels.offset.is_whole
    assert voxels.shape.is_whole
    assert voxels * size == world
    assert world // size == voxels
    assert (world % size).offset == (0,) * size.dims
    assert world.snap_to_grid(size) == world


def test_operators_take_numbers_and_coordinates_only():
    roi = Roi((2, 4), (6, 8))
    assert roi * 0.5 == roi / 2 == Roi((1, 2), (3, 4))
    assert roi + np.int64(1) == Roi((3, 5), (6, 8))
    assert roi // Coordinate(4, 3) == Roi((0, 1), (1, 2))
    assert roi % 4 == Roi((2, 0), (2, 0))
    for op in (
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.floordiv,
        operator.mod,
    ):
        with pytest.raises(TypeError, match="not defined"):
            op(roi, (1, 2))
    with pytest.raises(TypeError):
        roi.shift((1, 2))
    with pytest.raises(TypeError):
        2 * roi


def test_squeeze():
    assert Roi((1, 2), (3, 4)).squeeze() == Roi((2,), (4,))
    assert Roi((1, 2), (3, 4)).squeeze(5) == Roi((1, 2), (3, 4))


def test_anything_with_offset_and_shape_is_a_region():
    roi, other = Roi((0, 0), (10, 10)), SimpleNamespace(offset=(5, 5), shape=np.array([2, 50]))
    assert Roi.like(other) == Roi((5, 5), (2, 50))
    assert Roi.like(roi) is roi
    assert roi.intersect(other) == Roi((5, 5), (2, 5))
    assert roi.union(other) == Roi((0, 0), (10, 55))
    assert roi.intersects(other)
    assert not roi.contains(other)
    with pytest.raises(TypeError, match="an object with offset and shape"):
        roi.union((5, 5))


@given(regions(2, whole=True, empty=False))
def test_funlib_regions_mix_in_both_directions(pair):
    a, b = pair
    assert a == theirs(a)
    assert theirs(a) == a
    assert (a != theirs(b)) == (theirs(a) != b) == (a != b)
    assert isinstance(a, funlib.geometry.Roi)
    for method in ("contains", "intersects", "intersect", "union"):
        expected = getattr(theirs(a), method)(theirs(b))
        assert getattr(a, method)(theirs(b)) == expected
        assert getattr(theirs(a), method)(b) == expected
        assert getattr(a, method)(b) == expected
    assert type(a.union(theirs(b))) is type(a.intersect(theirs(b))) is Roi
    assert theirs(a) + b.shape == a + b.shape
    assert Roi.like(theirs(a)) == a


@given(regions(1, whole=True), st.data())
def test_agrees_with_funlib(one, data):
    (a,) = one
    size = data.draw(voxel_sizes(a.dims, whole=True))
    theirs_size = funlib.geometry.Coordinate(size)
    assert repr(a) == repr(theirs(a))
    assert a.size == theirs(a).size
    assert a.to_slices() == theirs(a).to_slices()
    assert a // size == theirs(a) // theirs_size
    assert a * size == theirs(a) * theirs_size
    if None not in a.offset:
        for mode in ("grow", "shrink", "closest"):
            assert a.snap_to_grid(size, mode) == theirs(a).snap_to_grid(theirs_size, mode)
        assert a.grow(size, 3) == theirs(a).grow(theirs_size, 3)


def test_no_dimensions():
    point = Roi((), ())
    assert point.size == 1
    assert point.to_slices() == ()
    assert point.intersect(point) == point
