from collections import Counter
from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from voxflow.nodes.locations import voxel_weights
from voxflow.nodes.locations.cells import slices
from voxflow.nodes.locations.mask_windows import Windows
from voxflow.nodes.locations.voxel_weights import VoxelWeights
from voxflow.pipeline.engine.errors import SamplingError


@st.composite
def lattices(draw):
    axes = []
    for _ in range(draw(st.integers(1, 3))):
        first, stride, count = (draw(st.integers(*r)) for r in ((0, 2), (1, 3), (1, 6)))
        axes.append((first, 1, stride, count))
    first, shape, stride, count = zip(*axes, strict=True)
    size = [f + (c - 1) * s + 2 for f, _, s, c in axes]
    return size, Windows(first, shape, stride, count)


def on_lattice(values, voxels):
    index = np.ix_(
        *(
            f + np.arange(c) * s
            for f, s, c in zip(voxels.first, voxels.stride, voxels.count, strict=True)
        )
    )
    return values[index]


def make(values, voxels, classes=None):
    with (
        mock.patch.object(voxel_weights, "_CELL", 8),
        mock.patch.object(voxel_weights, "_BLOCK", 30),
    ):
        return VoxelWeights(lambda box: values[slices(box)], voxels, classes)


@given(lattices(), st.integers(0, 99))
def test_sums_are_those_of_all_voxels(case, seed):
    size, voxels = case
    rng = np.random.default_rng(seed)
    values = (rng.random(size) * (rng.random(size) < 0.5)).astype(np.float32)
    labels = rng.integers(-1, 4, size)
    there = on_lattice(values, voxels)
    if there.any():
        made = make(values, voxels)
        assert made.found[None] == pytest.approx(there.sum(dtype=np.float64))
        assert all(there[made.draw(rng)] > 0 for _ in range(5))
    ids, counts = np.unique(on_lattice(labels, voxels), return_counts=True)
    expected = {int(i): n for i, n in zip(ids, counts, strict=True) if i >= 0}
    if expected:
        made = make(labels, voxels, "balanced")
        assert made.found == expected
        one = next(iter(expected))
        only = make(labels, voxels, {one: 2})
        assert only.found == {one: expected[one]}
        assert all(on_lattice(labels, voxels)[only.draw(rng)] == one for _ in range(5))


def chi_square(drawn, chances):
    assert set(drawn) == set(chances)
    total = sum(drawn.values())
    scale = total / sum(chances.values())
    return sum((drawn[k] - c * scale) ** 2 / (c * scale) for k, c in chances.items())


def test_voxels_are_as_likely_as_they_weigh_the_first_and_the_last_too():
    rng = np.random.default_rng(0)
    values = rng.random((5, 6, 4))
    values[0, 0, 0] = values[-1, -1, -1] = 0.7
    values[1] = 0
    voxels = make(values, Windows((0,) * 3, (1,) * 3, (1,) * 3, values.shape))
    drawn = Counter(voxels.draw(rng) for _ in range(20_000))
    chances = {tuple(map(int, i)): values[tuple(i)] for i in np.argwhere(values)}
    assert chi_square(drawn, chances) < len(chances) + 4 * np.sqrt(2 * len(chances))


@pytest.mark.parametrize("big", [9, 2**64 - 1])
def test_classes_are_alike_and_so_are_their_voxels(big):
    values = np.zeros((30, 10), np.uint64)
    values[3, 4:7] = big
    voxels = make(values, Windows((0, 0), (1, 1), (1, 1), values.shape), "balanced")
    rng = np.random.default_rng(1)
    drawn = Counter(voxels.draw(rng) for _ in range(6000))
    rare = {(3, i): 1 for i in (4, 5, 6)}
    assert chi_square(Counter({k: drawn[k] for k in rare}), rare) < 3 + 4 * np.sqrt(6)
    assert abs(sum(drawn[k] for k in rare) - 3000) < 4 * np.sqrt(1500)


@pytest.mark.parametrize("fraction", [0.0, 1 - 2**-53])
def test_what_weighs_nothing_is_never_drawn(fraction):
    class Edge:
        def random(self):
            return fraction

    values = np.zeros((6, 7))
    values[2, 3] = values[4, 1] = 0.1
    voxels = make(values, Windows((0, 0), (1, 1), (1, 1), values.shape))
    assert values[voxels.draw(Edge())] > 0


def test_a_weight_that_is_tiny_is_still_found():
    values = np.zeros(100, np.float32)
    values[[0, 99]] = 1e-30, 1e-30
    voxels = make(values, Windows((0,), (1,), (1,), (100,)))
    rng = np.random.default_rng(1)
    assert {voxels.draw(rng) for _ in range(50)} == {(0,), (99,)}


@pytest.mark.parametrize(
    ("values", "classes", "error", "text"),
    [
        (np.zeros(9), None, SamplingError, "none of 9 voxels has a weight above 0"),
        (np.full(9, -1), "balanced", SamplingError, "none of 9 voxels has a weight above 0"),
        (np.arange(9) % 2, {7: 1, 1: 1}, SamplingError, r"has the class 7; .* 1 \(4\)"),
        (np.array([1.0, -1.0, 3.0]), None, ValueError, "have to be 0 or more"),
        (np.array([1.0, np.nan]), None, ValueError, "and finite"),
        (np.array([1.0, np.inf]), None, ValueError, "and finite"),
        (np.array([0.5, 1.5]), {1: 1}, ValueError, "classes are of integers, but values are float"),
    ],
)
def test_says_what_cannot_be_drawn(values, classes, error, text):
    with pytest.raises(error, match=text):
        make(values, Windows((0,), (1,), (1,), values.shape), classes)
