from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxflow.ops.rescale import Grid, rescale, rescale_reach

RATIOS = [(2, 1), (1, 2), (2, 3), (3, 2), (1, 1), (4, 1), (1, 4)]


def whole(data, voxel_size, target, order):
    """All of an array that begins at 0."""
    shape = [
        int(n * v / t)
        for n, v, t in zip(data.shape[-len(target) :], voxel_size, target, strict=True)
    ]
    zero = (0,) * len(target)
    return rescale(data, Grid(zero, voxel_size), Grid(zero, target), shape, order)


def by_scipy(data, voxel_size, target, order):
    """What scikit-image does with these functions of scipy."""
    ratios = [t / v for v, t in zip(voxel_size, target, strict=True)]
    values = data.astype(np.float64)
    if order:
        sigma = [max(0, (ratio - 1) / 2) for ratio in ratios]
        values = ndimage.gaussian_filter(values, sigma, mode="mirror")
    zoom = [1 / ratio for ratio in ratios]
    return ndimage.zoom(values, zoom, order=order, mode="mirror", grid_mode=True)


@st.composite
def cases(draw):
    dims = draw(st.integers(1, 3))
    pairs = [draw(st.sampled_from(RATIOS)) for _ in range(dims)]
    shape = [12 * draw(st.integers(1, 2)) for _ in pairs]
    data = np.random.default_rng(draw(st.integers(0, 99))).uniform(0, 255, shape)
    return data, [p[0] for p in pairs], [p[1] for p in pairs]


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from([0, 1, 3]))
def test_equals_scipy(case, order):
    np.testing.assert_allclose(whole(*case, order), by_scipy(*case, order), atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from([0, 1]), st.data())
def test_a_part_is_that_part_of_the_whole(case, order, data):
    values, voxel_size, target = case
    all_of_it = whole(*case, order)
    first = [data.draw(st.integers(0, n - 1)) for n in all_of_it.shape]
    last = [data.draw(st.integers(f + 1, n)) for f, n in zip(first, all_of_it.shape, strict=True)]
    slices, begin = [], []
    for f, to, v, t, n in zip(first, last, voxel_size, target, values.shape, strict=True):
        reach = rescale_reach(Fraction(t, v), order)
        low, high = max(f * t // v - reach, 0), min(-(-to * t // v) + reach, n)
        slices.append(slice(low, high))
        begin.append(low * v)
    got = rescale(
        values[tuple(slices)],
        Grid(begin, voxel_size),
        Grid([f * t for f, t in zip(first, target, strict=True)], target),
        [to - f for f, to in zip(first, last, strict=True)],
        order,
    )
    part = all_of_it[tuple(slice(f, to) for f, to in zip(first, last, strict=True))]
    np.testing.assert_allclose(got, part, rtol=1e-9)


def test_splines_forget_what_is_far_away():
    data, half = np.random.default_rng(0).random(80), (Fraction(1, 2),)
    for order in (2, 3, 4, 5):
        reach = rescale_reach(Fraction(1, 2), order)
        source, target = Grid((40 - reach,), (1,)), Grid((40,), half)
        got = rescale(data[40 - reach : 50 + reach], source, target, (20,), order)
        np.testing.assert_allclose(got, whole(data, (1,), half, order)[80:100], atol=2e-6)


def test_no_id_is_changed_nor_invented():
    ids = np.array([2**64 - 1, 2**64 - 2, 2**63, 2**63 + 1, 7, 2**32], np.uint64).reshape(2, 3)
    up = whole(ids, (Fraction(49, 5), 3), (Fraction(49, 10), 1), 0)
    assert up.dtype == np.uint64
    np.testing.assert_array_equal(up, ids.repeat(2, 0).repeat(3, 1))
    np.testing.assert_array_equal(whole(up, (1, 1), (2, 3), 0), ids)


def test_voxels_need_not_be_whole_multiples():
    fine = whole(np.arange(7), (3,), (Fraction(7, 5),), 0)
    centres = [(k + Fraction(1, 2)) * Fraction(7, 5) for k in range(15)]
    assert fine.tolist() == [int(c // 3) for c in centres]


def test_integers_are_rounded_and_stay_in_their_range():
    assert whole(np.array([0, 1, 3, 3], np.uint8), (2,), (4,), 1).tolist() == [1, 3]
    image = np.array([0, 0, 0, 255, 255, 255, 0, 0], np.uint8)
    cubic = whole(image, (2,), (1,), 3)
    assert cubic.dtype == np.uint8
    assert cubic.min() == 0
    assert cubic.max() == 255
    known = whole(np.array([True, True, False, False]), (2,), (1,), 1)
    assert known.tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_same_voxels_are_the_same(dtype, order):
    data = np.arange(24).reshape(2, 3, 4).astype(dtype)
    same = whole(data, (2, 5), (2, 5), order)
    assert same.dtype == data.dtype
    assert not np.shares_memory(same, data)
    np.testing.assert_allclose(same, data, atol=1e-5)


def test_leading_axes_are_left_alone():
    data = np.random.default_rng(0).random((2, 3, 8))
    for order in (0, 1, 3):
        wanted = [[whole(row, (1,), (2,), order) for row in rows] for rows in data]
        np.testing.assert_allclose(whole(data, (1,), (2,), order), wanted)


def test_a_single_voxel_is_everywhere():
    assert whole(np.array([5.0]), (4,), (1,), 1).tolist() == [5] * 4
