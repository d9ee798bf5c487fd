"""The expected run length, beside a slow and plain one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow import Graph, GraphSpec
from voxflow.evaluation.skeletons import expected_run_length, segments_at
from voxflow.stores import ArrayDataset


def chains(seed, count=3, most=6):
    """Skeletons that are chains with a branch, with ids that are not in order."""
    rng = np.random.default_rng(seed)
    edges, owner = [], []
    for skeleton in range(count):
        first, n = len(owner), rng.integers(1, most)
        edges += [(first + max(0, i - rng.integers(1, 3)), first + i) for i in range(1, n)]
        owner += [skeleton] * n
    ids = rng.permutation(np.arange(2**63, 2**63 + len(owner), dtype="u8"))
    links = ids[np.array(edges, int).reshape(-1, 2)]
    graph = Graph.from_arrays(ids, rng.random((len(owner), 3)) * 100, links, GraphSpec())
    return graph, np.array(owner), rng


def plainly(graph, segment, owner):
    """Slow and plain, with dicts."""
    at = dict(zip(graph.ids.tolist(), range(len(owner)), strict=True))
    owners, runs, lengths = {}, {}, {}
    for row, name in enumerate(segment):
        owners.setdefault(name, set()).add(owner[row])
    for u, v in graph.edge_array.tolist():
        u, v = at[u], at[v]
        length = math.dist(graph.locations[u], graph.locations[v])
        lengths[owner[u]] = lengths.get(owner[u], 0) + length
        if segment[u] == segment[v] != 0 and len(owners[segment[u]]) == 1:
            key = owner[u], segment[u]
            runs[key] = runs.get(key, 0) + length
    total = sum(lengths.values())
    sums = (sum(r**2 for r in part.values()) for part in (runs, lengths))
    return tuple(part / total if total else math.nan for part in sums)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_it_is_what_the_formula_says(seed, names):
    graph, owner, rng = chains(seed)
    segment = rng.choice(np.array([0, 3, 4, 2**64 - 1, 2**63], "u8")[:names], len(owner))
    found = expected_run_length(graph, segment)
    expected = plainly(graph, segment, owner)
    assert found[:2] == pytest.approx(expected, nan_ok=True)
    assert expected_run_length(graph, segment, of=owner + 5) == pytest.approx(found, nan_ok=True)
    right = expected_run_length(graph, owner + 1)
    assert right.expected == pytest.approx(right.perfect, nan_ok=True)
    assert right[3:] == (0, 0, 0)


def test_where_the_rest_is():
    places = [[0, 0], [0, 10], [0, 30], [5, 0], [5, 40], [5, 90]]
    edges = [[1, 2], [2, 3], [4, 5], [5, 6]]
    graph = Graph.from_arrays(range(1, 7), places, edges, GraphSpec())
    assert expected_run_length(graph, [1, 1, 2, 3, 3, 0]) == (
        (10**2 + 40**2) / 120, (30**2 + 90**2) / 120, 120, 20, 0, 50
    )  # fmt: skip
    merged = expected_run_length(graph, [1, 1, 1, 1, 1, 1])
    assert (merged.expected, merged.merged) == (0, 120)
    assert merged.normalised == 0
    one = expected_run_length(graph, [1] * 6, of=[8] * 6)
    assert one.expected == one.perfect == 120


def test_without_edges():
    graph = Graph.from_arrays([1, 2], [[0, 0], [1, 1]], np.empty((0, 2), int), GraphSpec())
    found = expected_run_length(graph, [1, 2])
    assert math.isnan(found.expected)
    assert math.isnan(found.normalised)


def test_what_does_not_fit_is_refused():
    graph = Graph.from_arrays([1, 2], [[0, 0], [1, 1]], [[1, 2]], GraphSpec())
    with pytest.raises(ValueError, match=r"segments has the shape \(3,\), there are 2"):
        expected_run_length(graph, [1, 2, 3])
    with pytest.raises(ValueError, match="of has the shape"):
        expected_run_length(graph, [1, 2], of=[1])
    with pytest.raises(ValueError, match="does not say its voxel size"):
        segments_at(graph, np.ones((3, 3), int))
    with pytest.raises(ValueError, match="nodes have 2 axes"):
        segments_at(graph, ArrayDataset(np.ones((3, 3, 3), int), attrs={"resolution": [1, 1, 1]}))


@pytest.mark.parametrize("voxels", [7, 10**6])
def test_segments_are_read_where_nodes_are(voxels, monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2**64 - 1, (6, 9, 11), np.uint64)
    attrs = {"resolution": [40, 9.8, 4], "offset": [80, -9.8, 0]}
    where = rng.integers(-2, 12, (60, 3))
    inside = ((where >= 0) & (where < labels.shape)).all(1)
    places = (where + rng.uniform(0.1, 0.9, where.shape)) * attrs["resolution"] + attrs["offset"]
    graph = Graph.from_arrays(range(60), places, np.empty((0, 2), int), GraphSpec())
    small = lambda part, shape, _: tuple(min(n, voxels) for n in (2, 3, 3))  # noqa: E731
    monkeypatch.setattr("voxflow.evaluation.skeletons.block_shape", small)
    found = segments_at(graph, ArrayDataset(labels, attrs=attrs))
    assert inside.any()
    assert found.dtype == np.uint64
    assert found.tolist() == [
        int(labels[*place]) if good else 0 for place, good in zip(where, inside, strict=True)
    ]
