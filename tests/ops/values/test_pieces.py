"""Changes that differ from piece to piece, beside numpy and torch."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from voxflow.ops.recipe import Recipe
from voxflow.ops.values import Clip, Gamma, Pieces, Scale, changed, range_after
from voxflow.ops.values.changes import CLIP, GAMMA, SCALE
from voxflow.pipeline.data import Array


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    sizes = tuple(draw(st.integers(1, n)) for n in shape)
    counts = [-(-n // size) for n, size in zip(shape, sizes, strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = np.zeros((*counts, 3, 3))
    steps[..., 0, :] = np.stack(
        [np.full(counts, SCALE), rng.uniform(0.5, 2, counts), rng.uniform(-0.5, 0.5, counts)], -1
    )
    steps[..., 1, :] = np.stack(
        [np.full(counts, CLIP), rng.uniform(0, 0.2, counts), rng.uniform(0.7, 1, counts)], -1
    )
    steps[..., 2, :2] = np.stack([np.full(counts, GAMMA), rng.uniform(0.5, 2, counts)], -1)
    return rng.random(shape).astype(draw(st.sampled_from(["f4", "f8"]))), Pieces(sizes, steps)


def plain(data, pieces):
    values = data.astype(np.float64)
    for index in np.ndindex(*pieces.steps.shape[:-2]):
        cut = tuple(
            slice(i * size, (i + 1) * size) for i, size in zip(index, pieces.pieces, strict=True)
        )
        scale, clip, gamma = pieces.steps[index]
        part = np.clip(values[cut] * scale[1] + scale[2], clip[1], clip[2])
        values[cut] = part ** gamma[1]
    return values


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_each_piece_by_itself(case):
    data, pieces = case
    made = changed(data, [Scale(1.0, 0.1), pieces, Scale(2.0)], data.dtype)
    wanted = 2 * plain(data + data.dtype.type(0.1), pieces)
    np.testing.assert_allclose(made, wanted, rtol=2e-5, atol=2e-6)
    low, high = range_after([pieces], (0.1, 1.1), data.dtype)
    assert low - 1e-6 <= wanted.min() / 2
    assert wanted.max() / 2 <= high + 1e-6


@given(case=cases())
@settings(max_examples=30, deadline=None)
def test_torch_agrees(case):
    pytest.importorskip("torch")
    from voxflow.torch.recipes.make import make_on

    data, pieces = case
    recipe = Recipe.of(Array(data)).changed([pieces], data.dtype)
    np.testing.assert_allclose(make_on(recipe, "cpu").numpy(), recipe.make(), rtol=2e-5, atol=2e-6)


@given(case=cases())
@settings(max_examples=20, deadline=None)
def test_axes_come_and_go(case):
    data, pieces = case
    recipe = Recipe.of(Array(data)).changed([pieces], data.dtype)
    np.testing.assert_array_equal(recipe.with_axis(0).make()[0], recipe.make())
    np.testing.assert_array_equal(recipe.with_axis(0).without_axis(0).make(), recipe.make())


def test_changes_can_be_read_again():
    steps = np.array([[[SCALE, 2, 1], [CLIP, 0, 1], [GAMMA, 3, 0]]])
    assert Pieces((4,), steps).options == [[Scale(2.0, 1.0), Clip(0.0, 1.0), Gamma(3.0)]]
