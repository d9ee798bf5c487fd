"""Weights of tiles: whole numbers that sum to the whole at each voxel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.blending import add_weighted, tile_weights, whole_weight
from voxflow.pipeline.geometry.tiling import starts


@st.composite
def tilings(draw):
    size = draw(st.integers(1, 40))
    overlap = draw(st.integers(0, size // 2))
    extent = draw(st.integers(size, 6 * size))
    low = draw(st.integers(-50, 50))
    begins = starts(low, low + extent, size, size - overlap)
    return [int(b) for b in begins], size, low, low + extent


@given(tilings(), st.sampled_from([8, 32, 512]))
def test_weights_sum_to_the_whole_and_are_of_the_tile(tiling, whole):
    begins, size, low, high = tiling
    weights = np.array(
        [tile_weights(begins, size, i, low, high, whole) for i in range(len(begins))]
    )
    assert (weights.sum(axis=0) == whole).all()
    assert (weights >= 0).all()
    voxels = np.arange(low, high)
    for begin, tile in zip(begins, weights, strict=True):
        assert not tile[(voxels < begin) | (voxels >= begin + size)].any()


@given(tilings())
def test_a_tile_is_weighted_by_itself_and_its_neighbours_only(tiling):
    begins, size, low, high = tiling
    for i in range(len(begins)):
        first = max(i - 1, 0)
        near = tile_weights(begins[first : i + 2], size, i - first, low, high)
        np.testing.assert_array_equal(near, tile_weights(begins, size, i, low, high))


def test_ramps_rise_and_fall_over_the_overlap():
    np.testing.assert_array_equal(
        tile_weights((0, 6), 8, 1, 4, 10, 512), [0, 0, 128, 384, 512, 512]
    )
    falling = tile_weights((0, 300), 500, 0, 0, 500)
    assert (np.diff(falling) <= 0).all()
    np.testing.assert_array_equal(falling[300:], 512 - np.arange(1, 401, 2) * 512 // 400)


@pytest.mark.parametrize("ndim", range(1, 7))
def test_float32_times_the_whole_weight_is_exact(ndim):
    assert whole_weight(ndim) ** ndim * 2**24 <= 2**53


@given(
    st.integers(1, 5).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.integers(1, 5), min_size=n + 1, max_size=n + 1))
    ),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_products_are_added_along_any_number_of_axes(shapes, dtype):
    ndim, shape = shapes
    rng = np.random.default_rng(0)
    values = rng.integers(-9, 9, shape).astype(dtype)
    weights = [rng.integers(0, 9, n).astype(float) for n in shape[1:]]
    larger = np.ones([n + 2 for n in shape])
    inside = (slice(1, -1),) * len(shape)
    add_weighted(larger[inside], values, weights)
    expected = values.astype(float)
    for axis, weight in enumerate(weights, start=1):
        expected *= weight.reshape([-1 if a == axis else 1 for a in range(ndim + 1)])
    np.testing.assert_array_equal(larger[inside], expected + 1)
    assert larger.sum() == expected.sum() + larger.size
