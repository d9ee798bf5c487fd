"""Votes of a device are those of the CPU."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.maps import Affine, Compose, ControlPointDisplacement
from voxflow.ops.recipe import Recipe
from voxflow.ops.values import Scale
from voxflow.torch.recipes.make import made, make_on

CPU = torch.device("cpu")


def recipe(data, warp, shape, voxel=(1, 1, 1)):
    zero = (0,) * warp.ndim
    return Recipe(data, True, (zero, voxel[-warp.ndim :]), warp, zero, shape, "majority")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["u8", "i8", "u4", "i4", "u2", "i2", "u1", "i1", "bool", ">u8"]),
    st.tuples(*[st.integers(1, 4)] * 3),
    st.integers(2, 5),
    st.sampled_from([1, 64, 1 << 20]),
    st.integers(0, 2**32),
)
def test_blocks_of_whole_factors(dtype, factors, kinds, block, seed):
    rng = np.random.default_rng(seed)
    there = [n * f for n, f in zip((3, 5, 4), factors, strict=True)]
    few = rng.integers(0, 2**64, kinds, "u8")
    data = rng.choice(few, (2, *there))
    data = (data % 2 == 1) if dtype == "bool" else data.astype(dtype)
    warp = Affine(np.diag(factors).astype(float), (0, 0, 0))
    shrunk = recipe(data, warp, (3, 5, 4))
    got = make_on(shrunk, "cpu")
    assert got.numpy().dtype == data.dtype.newbyteorder("=")
    np.testing.assert_array_equal(got.numpy(), shrunk.make())
    assert torch.equal(made(shrunk, CPU, block), made(shrunk, CPU))


@pytest.mark.parametrize("ndim", [2, 3])
def test_smooth_maps(ndim):
    rng = np.random.default_rng(3)
    shape = (24,) * ndim
    coarse = rng.integers(1, 2**63, (6,) * ndim, "u8") * 2 + 1
    labels = coarse
    for axis in range(ndim):
        labels = labels.repeat(4, axis)
    angle = np.eye(ndim)
    angle[-2:, -2:] = [[0.8, -0.6], [0.6, 0.8]]
    field = ControlPointDisplacement(
        rng.normal(0, 1, (ndim, *[6] * ndim)), (-1.0,) * ndim, (25.0,) * ndim
    )
    warp = Compose([Affine(1.37 * angle, (12.0,) * ndim), field])
    turned = recipe(labels, warp, shape)
    want, got = turned.make(), make_on(turned, "cpu").numpy()
    assert len(np.unique(want)) > 6
    assert (want != got).mean() < 0.002  # sub-points between two voxels, up to rounding


def test_with_changes_of_values():
    labels = np.random.default_rng(1).integers(0, 3, (8, 8, 8), "u1")
    warp = Affine(2 * np.eye(3), (0, 0, 0))
    scaled = recipe(labels, warp, (4, 4, 4)).changed([Scale(0.5)], np.float32)
    np.testing.assert_array_equal(make_on(scaled, "cpu").numpy(), scaled.make())
