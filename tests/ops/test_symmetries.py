"""The symmetries of the square and of the cube."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.maps import Affine, Compose, SectionShifts, mirror_transpose, rotation
from voxflow.ops.symmetries import Symmetry, symmetries, symmetry_of


@pytest.mark.parametrize(("ndim", "count"), [(1, 2), (2, 8), (3, 48), (4, 384)])
def test_each_is_there_once_and_undone_by_its_inverse(ndim, count):
    data = np.arange(2 * 3**ndim).reshape(2, *(3,) * ndim)
    seen = set()
    for symmetry in symmetries(ndim):
        moved = symmetry.move(data)
        assert np.shares_memory(moved, data)
        seen.add(moved.tobytes())
        assert (symmetry.inverse.move(moved) == data).all()
        assert symmetry.inverse.inverse == symmetry
    assert len(seen) == count


@given(st.integers(1, 4), st.data())
def test_axes_can_be_left_alone(ndim, data):
    axes = st.sets(st.integers(0, ndim - 1)).map(sorted)
    mirrored, moved = data.draw(axes), data.draw(axes)
    some = list(symmetries(ndim, mirror_only=mirrored, transpose_only=moved))
    assert len(set(some)) == len(some) == 2 ** len(mirrored) * math.factorial(len(moved))
    for symmetry in some:
        assert all(axis in mirrored for axis in range(ndim) if symmetry.mirror[axis])
        assert all(axis in moved for axis, source in enumerate(symmetry.order) if axis != source)


def test_axes_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"of 2 axes there is none of \[2\]"):
        list(symmetries(2, transpose_only=[1, 2]))


@given(st.data())
def test_is_what_a_map_of_it_does(data):
    ndim = data.draw(st.integers(1, 3))
    symmetry = data.draw(st.sampled_from(list(symmetries(ndim))))
    size = tuple(data.draw(st.sampled_from([1, 2, 9.8])) for _ in range(ndim))
    if any(size[a] != size[b] for a, b in enumerate(symmetry.order)):
        size = (9.8,) * ndim
    warp = mirror_transpose([3.0] * ndim, symmetry.mirror, symmetry.order)
    assert symmetry_of(warp, size) == symmetry
    assert symmetry_of(warp, (7, *size)) == symmetry.lifted(ndim + 1)
    offset = data.draw(st.tuples(*[st.integers(-9, 9)] * ndim))
    there = warp.pull(np.stack([np.zeros(ndim), np.array(offset, float) * size]))
    assert np.allclose(there[1] - there[0], np.multiply(symmetry.source_of(offset), size))


def test_a_quarter_turn_is_one_only_where_voxels_are_equally_long():
    turn = rotation(np.pi / 2, [1.0, 5.0, 7.0])
    assert symmetry_of(turn, (40, 4, 4)) == Symmetry((False, False, True), (0, 2, 1))
    assert symmetry_of(turn, (40, 8, 4)) is None
    # In voxels that differ, a permutation of them is no turn, but it is a symmetry of the grid.
    squeeze = Affine([[0.0, 2.0], [0.5, 0.0]], [0.0, 0.0])
    assert symmetry_of(squeeze, (8, 4)) == Symmetry((False, False), (1, 0))


@pytest.mark.parametrize(
    "warp",
    [
        rotation(0.1, [0.0, 0.0]),
        Affine([[2.0, 0.0], [0.0, 1.0]], [0.0, 0.0]),
        Affine([[1.0, 1.0], [0.0, 1.0]], [0.0, 0.0]),
        SectionShifts(np.array([[0, 4], [0, 0]]), 0, 4),
    ],
)
def test_others_are_none(warp):
    assert symmetry_of(warp, (4, 4)) is None


def test_a_shift_makes_no_difference_and_maps_are_taken_together():
    flip = mirror_transpose([1.0, 1.0], [True, False])
    assert symmetry_of(Compose([flip, Affine(np.eye(2), [0, 0], [3.3, 1])]), (4, 4)) == Symmetry(
        (True, False)
    )
    assert symmetry_of(Compose([flip, flip]), (4, 4)) == Symmetry((False, False))


@pytest.mark.parametrize("order", [(0,), (0, 0), (1, 2)])
def test_axes_that_do_not_fit_are_refused(order):
    with pytest.raises(ValueError, match="every axis once"):
        Symmetry((True, False), order)
