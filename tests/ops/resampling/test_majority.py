import numpy as np
import pytest
import spatial_reference as reference
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spatial_reference import Region

from tests.ops.random_maps import cases, voxels
from voxflow.ops.maps import (
    Affine,
    Compose,
    ControlPointDisplacement,
    SectionShifts,
    mirror_transpose,
    rotation,
)
from voxflow.ops.resampling import majority
from voxflow.ops.resampling.resample import joint_order, resample

DTYPES = ("u1", ">u4", "i8", "u8", "bool", "f4")
OTHER_DTYPES = ("i1", "i2", "u4", ">u8")
CASES = cases(shrink=3.5)
MARGIN = 3


def read(case):
    """What has to be read for a case: where it begins, and how many voxels it is."""
    spatial_map, offset, size, shape, _ = case
    box = spatial_map.source(Region(offset, tuple(np.multiply(shape, size))), size, "majority")
    span = voxels(box, size)
    assume(np.prod(span) < 1e6)
    return box[0], span


def labels(rng, shape, dtype):
    """A few ids, some of them the greatest that there are."""
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "f4":
        return rng.integers(-2, 2, shape).astype(dtype)
    limits = np.iinfo(dtype)
    few = [limits.min, limits.min + 1, 5, limits.max - 1, limits.max]
    return np.array(few, np.dtype(dtype).newbyteorder("="))[rng.integers(0, 5, shape)].astype(dtype)


def check_agreement(case, lead, dtype, cut):
    spatial_map, offset, size, shape, rng = case
    begin, span = read(case)
    span = [max(1, n - cut) for n in span]  # such that something may lie outside
    where = begin, size, offset, shape
    index = reference.cells(spatial_map, *where)
    center = reference.source_index(spatial_map, *where)[..., None]
    near = np.concatenate([index, center], -1)
    tie = (np.abs(near - np.floor(near) - 0.5) < 1e-5).any((0, -1))
    data = labels(rng, (*lead, *span), dtype)
    if dtype == "f4":  # whose bits are in order where no value is negative
        data = np.abs(data)
    got = spatial_map.resample(data, *where, order="majority", fill=1)
    want = reference.majority(spatial_map, data, *where, fill=1)
    assert got.dtype == data.dtype
    np.testing.assert_array_equal(got[..., ~tie], want[..., ~tie])


LEADS, CUTS = st.sampled_from([(), (2,), (2, 3)]), st.integers(0, 2)


@settings(max_examples=100, deadline=None)
@given(CASES, LEADS, st.sampled_from(DTYPES), CUTS)
def test_agrees_with_the_reference(case, lead, dtype, cut):
    check_agreement(case, lead, dtype, cut)


@pytest.mark.slow  # each type is compiled
@settings(max_examples=100, deadline=None)
@given(CASES, LEADS, st.sampled_from(OTHER_DTYPES), CUTS)
def test_agrees_with_the_reference_for_other_types(case, lead, dtype, cut):
    check_agreement(case, lead, dtype, cut)


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_the_source_region_is_tight_and_sufficient(case):
    spatial_map, offset, size, shape, rng = case
    begin, span = read(case)
    index = reference.cells(spatial_map, begin, size, offset, shape).reshape(len(shape), -1)
    center = reference.source_index(spatial_map, begin, size, offset, shape)
    index = np.concatenate([index, center.reshape(len(shape), -1)], 1)
    last = np.array(span) - 0.5
    assert (index.min(1) >= -0.5 - 1e-4).all()
    assert (index.max(1) <= last + 1e-4).all()
    assert (index.min(1) < 2).all()
    assert (index.max(1) > last - 2.5).all()
    # What lies around makes no difference.
    around = labels(rng, [n + 2 * MARGIN for n in span], "u8")
    inner = around[tuple(slice(MARGIN, n + MARGIN) for n in span)]
    wide = tuple(b - MARGIN * v for b, v in zip(begin, size, strict=True))
    got = spatial_map.resample(inner, begin, size, offset, shape, order="majority", fill=2)
    want = spatial_map.resample(around, wide, size, offset, shape, order="majority", fill=2)
    np.testing.assert_array_equal(got, want)


def blocks(data, factors):
    """The voxels of each block of `data`, as a last axis, and the one at its centre."""
    ndim = len(factors)
    shape = [n for axis, f in enumerate(factors) for n in (data.shape[axis] // f, f)]
    order = [*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2)]
    apart = data.reshape(shape).transpose(order)
    center = apart[(..., *(f // 2 for f in factors))]
    return apart.reshape(*apart.shape[:ndim], -1), center


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from([1, 2, 3, 4, 5, 7, 8]), min_size=1, max_size=3),
    st.sampled_from(DTYPES),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_making_smaller_by_whole_numbers_takes_the_mode_of_blocks(factors, dtype, n, turn, seed):
    assume(any(f > 1 for f in factors))
    rng = np.random.default_rng(seed)
    size = rng.choice([1, 4, 9.8, 40], len(factors))
    shape = rng.integers(1, 5, len(factors)) + n
    data = labels(rng, shape * factors, dtype)
    if dtype == "f4":
        data = np.abs(data)
    offset = rng.integers(-5, 5, len(factors)) * size
    spatial_map = Affine(np.diag(factors), offset)
    region = Region(tuple(offset), tuple(shape * size))
    box = spatial_map.source(region, size, "majority")
    assert voxels(box, size) == data.shape
    if turn:  # and all that mirrors it along with its cells
        mirror = mirror_transpose(offset + shape * size / 2, [True] * len(factors))
        spatial_map = Compose([mirror, spatial_map])
    got = spatial_map.resample(data, offset, size, offset, shape, order="majority")
    cells, center = blocks(data[(slice(None, None, -1),) * data.ndim] if turn else data, factors)
    if turn:  # between voxels the upper one is nearest, which now comes first
        cut = data.reshape([n for s, f in zip(shape, factors, strict=True) for n in (s, f)])
        middle = tuple(i for f in factors for i in (slice(None, None, -1), f // 2))
        center = cut[middle]
    want = [
        reference.most_frequent(cell, at)
        for cell, at in zip(cells.reshape(-1, cells.shape[-1]), center.ravel(), strict=True)
    ]
    np.testing.assert_array_equal(got, np.array(want, data.dtype).reshape(got.shape))


def halved(data, factor, fill=0):
    """One voxel of `factor` voxels."""
    data = np.asarray(data)
    return Affine([[float(factor)]], [0.0]).resample(
        data, (0,), (1,), (0,), (-(-data.size // factor),), order="majority", fill=fill
    )


def test_ties_go_to_the_centre_then_to_the_smallest():
    top = 2**64 - 1
    assert halved(np.array([3, 3, 8, 8], "u8"), 4) == 8
    assert halved(np.array([8, 8, 3, 3], "u8"), 4) == 3
    assert halved(np.array([top, top, 5, 2**63, 2**63], "u8"), 5) == 2**63
    assert halved(np.array([2, 2, 7, -3, -3], "i8"), 5) == -3
    assert halved(np.array([-128, 127, 7, 127, -128], "i1"), 5) == -128
    assert halved(np.array([top, top - 1, top], "u8"), 3) == top


def test_what_lies_outside_votes():
    np.testing.assert_array_equal(halved([4, 4, 4, 4], 3, fill=9), [4, 9])
    np.testing.assert_array_equal(halved([4, 4, 4, 4, 6], 4, fill=9), [4, 9])
    np.testing.assert_array_equal(halved([4, 4, 4, 4, 6, 6, 6], 4, fill=9), [4, 6])


def test_no_more_than_eight_sub_points_along_an_axis():
    data = np.repeat(np.array([0, 1], "u1"), [17, 15])
    assert halved(data, 32) == 0
    assert halved(data[::-1], 32) == 0
    assert halved(np.repeat(np.arange(4, dtype="u8"), 1000), 1000).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", ["u8", "bool", "i2"])
def test_what_only_moves_is_a_view_and_the_same_as_nearest(dtype):
    data = labels(np.random.default_rng(0), (2, 5, 6, 6), dtype)
    extent = np.array([200, 24, 24])
    moves = [
        Affine(np.eye(3), [0, 0, 0]),
        Affine(np.eye(3), [0, 0, 0], [40, -4, 4]),
        mirror_transpose(extent / 2, [True, False, True], [0, 2, 1]),
        rotation(np.pi / 2, extent / 2),
    ]
    for move in moves:
        where = (0, 0, 0), (40, 4, 4), (40, 4, 8), (2, 3, 3)
        got = move.resample(data, *where, order="majority")
        np.testing.assert_array_equal(got, move.resample(data, *where, order="nearest"))
        assert np.shares_memory(got, data)


def test_where_nothing_is_made_smaller_ids_stay_at_their_place():
    """Half a voxel aside, each of two is half of it: the upper one, which is at its centre."""
    data = np.arange(1, 50, dtype="u8").reshape(7, 7)
    half = Affine(np.eye(2), [0, 0], [0.5, 0])
    got = half.resample(data, (0, 0), (1, 1), (0, 0), (6, 7), order="majority")
    np.testing.assert_array_equal(got, data[1:])


def disks(shape, rng):
    """Overlapping disks of many sizes, ids from 1, on 0."""
    y, x = np.indices(shape)
    image = np.zeros(shape, np.uint64)
    for number in range(1, 120):
        cy, cx, r = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(2, 12)
        image[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = number
    return image


@pytest.mark.parametrize("factor", [2.0, 2.7, 3.0, 4.4])
def test_areas_are_closer_to_the_truth_than_those_of_the_nearest(factor):
    rng = np.random.default_rng(int(10 * factor))
    data = disks((300, 300), rng)
    size, n = (4, 4), int(300 // factor)
    turn = Compose([Affine(np.eye(2) * factor, [0, 0]), rotation(0.4, (600, 600))])
    region = Region((0, 0), (4 * n, 4 * n))
    seen = {
        order: turn.resample(data, (0, 0), size, (0, 0), (n, n), order=order)
        for order in ("nearest", "majority")
    }
    fine = Affine(np.eye(2) / 6, region.offset)  # each cell, looked at 36 times
    many = Compose([fine, turn]).resample(
        data, (0, 0), size, (0, 0), (6 * n, 6 * n), order="nearest"
    )
    cells, _ = blocks(many, (6, 6))
    held = {order: (cells == ids[..., None]).mean() for order, ids in seen.items()}
    assert held["majority"] > held["nearest"]
    most = np.mean([np.unique(c, return_counts=True)[1].max() for c in cells.reshape(-1, 36)]) / 36
    assert held["majority"] > most - 0.01, "not what fills most of the cells"


@pytest.mark.parametrize("wall", [1, 2])
def test_thin_walls_stay_or_go_as_a_whole(wall):
    """Of three voxels, a wall of two is most of it anywhere, a wall of one nowhere."""
    data = np.full((9, 30, 30), 2, np.uint64)
    for k in range(10):  # walls in other places within their blocks: nearest has gaps
        data[:, 3 * k + k % 2 : 3 * k + k % 2 + wall] = 1
    third = Affine(np.diag([1.0, 3.0, 3.0]), [0, 0, 0])
    where = (0, 0, 0), (40, 4, 4), (0, 0, 0), (9, 10, 10)
    got = third.resample(data, *where, order="majority")
    assert (got == (1 if wall == 2 else 2)).all()
    nearest = third.resample(data, *where, order="nearest")
    if wall == 1:
        assert 0 < (nearest == 1).mean() < 1


def test_voxels_that_are_long_along_one_axis_are_looked_at_often_along_it():
    """Turned by 90 degrees, the thickness of a section shows three voxels of a column."""
    data = labels(np.random.default_rng(4), (3, 12, 5), "u8")
    turn = rotation(np.pi / 2, (0, 0, 0), (0, 1))
    size, shape = (12, 4, 4), (4, 9, 5)
    region = Region((0, 0, 0), tuple(np.multiply(shape, size)))
    begin, end = turn.source(region, size, "majority")
    assert (begin, end) == ((0, -48, 0), (36, 0, 20))
    got = turn.resample(data, begin, size, (0, 0, 0), shape, order="majority")
    columns = data[:, ::-1].reshape(3, 4, 3, 5)
    for i, j, x in np.ndindex(shape):
        three = columns[j // 3, i, :, x]
        assert got[i, j, x] == reference.most_frequent(three, three[1])


def bend(planar=False):
    points = np.random.default_rng(7).normal(0, 12, (3, 3, 4, 4))
    if planar:
        points[0] = 0
    return ControlPointDisplacement(points, (0, 0, 0), (320, 160, 160))


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("budget", [1, 700, 20_000])
def test_a_part_is_that_part_of_the_whole_however_it_is_worked(planar, budget, monkeypatch):
    rng = np.random.default_rng(8)
    size, shape = (40, 4, 4), (8, 40, 40)
    shrink = Affine(np.diag([1.0, 2.2, 1.7]), (160, 80, 80))
    slips = SectionShifts(rng.integers(-2, 3, (8, 3)) * (0, 4, 4), 0, 40)
    spatial_map = Compose([slips, bend(planar), shrink])
    begin, end = spatial_map.source(Region((0, 0, 0), (320, 160, 160)), size, "majority")
    data = labels(rng, (3, *voxels((begin, end), size)), "u8")
    whole = spatial_map.resample(data, begin, size, (0, 0, 0), shape, order="majority")
    monkeypatch.setattr(majority, "_ROOM", budget)
    again = spatial_map.resample(data, begin, size, (0, 0, 0), shape, order="majority")
    np.testing.assert_array_equal(again, whole)
    part = spatial_map.resample(data, begin, size, (120, 28, 44), (4, 21, 9), order="majority")
    np.testing.assert_array_equal(part, whole[:, 3:7, 7:28, 11:20])


def test_results_go_where_they_are_wanted():
    data = labels(np.random.default_rng(9), (2, 4, 12, 12), "u8")
    shrink = Affine(np.diag([1.0, 2.0, 2.0]), (0, 0, 0))
    where = (0, 0, 0), (1, 1, 1), (0, 0, 0), (4, 6, 6)
    want = shrink.resample(data, *where, order="majority")
    room = np.zeros((2, 4, 6, 12), "u8")
    for out in (np.empty_like(want), room[..., ::2], np.empty_like(want.T).T):
        got = resample(shrink.stages(), 3, data, *where, order="majority", out=out)
        assert got is out
        np.testing.assert_array_equal(out, want)
    assert not room[..., 1::2].any()
    data.flags.writeable = False
    turned = np.asfortranarray(data)
    np.testing.assert_array_equal(shrink.resample(turned, *where, order="majority"), want)


def test_other_values_count_by_their_bits():
    data = np.array([np.nan, np.nan, 1.0, 0.0, -0.0], "f8")
    assert np.isnan(halved(data, 5)).all()
    pair = np.array([1j, 2, 1j], "c8")
    assert halved(pair, 3).tolist() == [1j]


def test_two_orders_become_one():
    assert joint_order("nearest", "majority") == joint_order("majority", "nearest") == "majority"
    assert joint_order("linear", "linear") == "linear"
    assert joint_order("linear", "majority") is None


def test_a_wrong_type_or_order_is_refused():
    half = Affine([[2.0]], [0.0])
    with pytest.raises(ValueError, match="only linear interpolation changes the type"):
        half.resample(np.ones(4), (0,), (1,), (0,), (2,), order="majority", dtype="f4")
    with pytest.raises(ValueError, match="'linear', 'nearest' or 'majority'"):
        half.resample(np.ones(4), (0,), (1,), (0,), (2,), order="mode")
    with pytest.raises(ValueError, match="resample real and imaginary parts"):
        half.resample(np.ones(4, "c16"), (0,), (1,), (0,), (2,), order="majority")
