from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

import voxflow as gp
from voxflow.nodes.locations.room import find_room
from voxflow.pipeline.data import ProviderSpec
from voxflow.pipeline.engine.errors import RequestRefused

RAW, LABELS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")


def room(asked, there):
    request = gp.BatchRequest({key: gp.Roi(*roi) for key, roi in asked.items()})
    specs = {key: gp.ArraySpec(gp.Roi(*roi), size) for key, (roi, size) in there.items()}
    return find_room("Node", request, ProviderSpec(specs))


def test_every_place_inside_and_no_other():
    found = room({RAW: ((100,), (4,))}, {RAW: (((0,), (10,)), (1,))})
    assert (found.first, found.last, found.step) == ((-100,), (-94,), (1,))
    assert [found.holds((i,)) for i in (-101, -100, -94, -93)] == [False, True, True, False]


def test_the_steps_are_whole_voxels_of_all():
    found = room(
        {RAW: ((0, 0), (Fraction(98, 5), 4)), LABELS: ((0, 0), (Fraction(49, 5), 6))},
        {
            RAW: (((0, 0), (98, 24)), (Fraction(49, 5), 2)),
            LABELS: (((0, 0), (98, 24)), (Fraction(49, 10), 3)),
        },
    )
    assert found.step == (Fraction(49, 5), 6)
    assert (found.first, found.last) == ((0, 0), (8, 3))


bounds = st.tuples(st.integers(-20, 20), st.integers(0, 30))


@given(st.lists(st.tuples(bounds, bounds, st.integers(1, 4)), min_size=1, max_size=3))
def test_agrees_with_trying_all_moves(demands):
    keys = [gp.ArrayKey(f"K{i}") for i in range(len(demands))]
    asked, there = {}, {}
    for key, ((begin, size), (place, more), voxel) in zip(keys, demands, strict=True):
        asked[key] = ((begin * voxel,), ((size + 1) * voxel,))
        there[key] = (((place * voxel,), ((more + 1) * voxel,)), (voxel,))
    sizes = [size[0] for _, size in there.values()]
    step = next(s for s in range(1, 13) if all(s % size == 0 for size in sizes))
    rois = [(gp.Roi(*asked[key]), gp.Roi(*there[key][0])) for key in keys]
    fits = [m for m in range(-200, 200) if all(b.contains(a.shift(m * step)) for a, b in rois)]
    if fits:
        found = room(asked, there)
        assert (found.first, found.last) == ((fits[0],), (fits[-1],))
    else:
        with pytest.raises(RequestRefused, match="fit"):
            room(asked, there)


def test_says_by_how_much_each_axis_misses():
    with pytest.raises(RequestRefused) as error:
        room({RAW: ((0, 0), (100, 60))}, {RAW: (((0, 0), (80, 60)), (4, 1))})
    assert str(error.value) == (
        "Node, RAW: it fits nowhere. A region of (100, 60) world units = (25, 60) voxels of "
        "(4, 1) was asked, there is [0:80, 0:60] (80, 60) in world units = [0:20, 0:60] (20, 60) "
        "in voxels of (4, 1): axis 0 misses 20 world units = 5 voxels. Ask for less, let "
        "downstream nodes add less context, or put Pad(RAW, (12, 0)) between source and Node."
    )


def test_says_who_does_not_go_together():
    with pytest.raises(RequestRefused) as error:
        room(
            {RAW: ((0,), (10,)), LABELS: ((0,), (10,))},
            {RAW: (((40,), (20,)), (1,)), LABELS: (((0,), (20,)), (1,))},
        )
    assert str(error.value) == (
        "Node: the regions fit nowhere together. Along axis 0 RAW has to move by 40 or more to be "
        "inside of what there is, LABELS by 10 or less (world units). Ask for less, let "
        "downstream nodes add less context, or put Pad after the source of RAW or LABELS."
    )


def test_says_if_the_steps_are_too_large():
    with pytest.raises(RequestRefused, match="only move by whole multiples of 6"):
        room(
            {RAW: ((0,), (4,)), LABELS: ((0,), (3,))},
            {RAW: (((4,), (4,)), (2,)), LABELS: (((3,), (6,)), (3,))},
        )


def test_regions_of_different_dimensions_do_not_move_together():
    with pytest.raises(RequestRefused, match="RAW has 2, LABELS has 1"):
        room(
            {RAW: ((0, 0), (4, 4)), LABELS: ((0,), (3,))},
            {RAW: (((0, 0), (4, 4)), (2, 2)), LABELS: (((0,), (3,)), (3,))},
        )


def test_an_empty_region_upstream_is_not_an_unbounded_one():
    with pytest.raises(RequestRefused, match="RAW: there is nothing of it"):
        room({RAW: ((0,), (4,))}, {RAW: (((None,), (0,)), (1,))})


def test_unbounded_axes_are_open():
    found = room({RAW: ((0, 0), (4, 4))}, {RAW: (((None, 0), (None, 8)), (1, 1))})
    assert found.open_axes == [0]
    assert str(found) == "unbounded to unbounded / 0 to 4 in steps of (1, 1) (world units)"


def test_what_has_no_region_does_not_count():
    request = gp.BatchRequest({RAW: gp.ArraySpec(nonspatial=True)})
    found = find_room("Node", request, ProviderSpec({RAW: gp.ArraySpec(nonspatial=True)}))
    assert found.step == ()
    assert found.holds(())
