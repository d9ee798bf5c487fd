"""Graphs that end at the faces of a region, with all that was in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from voxflow.pipeline.data.graph_trim import passing, trimmed

ROI = gp.Roi((0, -10), (20, 20))


def chance(seed, count=40, dtype=np.float64, directed=True):
    """Places about as often inside as outside, and edges between any two."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-15, 35, (count, 2)) - [0, 10]
    ends = np.unique(rng.integers(0, count, (3 * count, 2)), axis=0)
    ends = ends[ends[:, 0] < ends[:, 1]]
    spec = gp.GraphSpec(gp.Roi((-50, -50), (200, 200)), directed=directed, dtype=dtype)
    ids = np.arange(count).astype(np.uint64) + np.uint64(2**63)
    return gp.Graph.from_arrays(
        ids,
        np.rint(places) if np.dtype(dtype).kind == "i" else places,
        ids[ends],
        spec,
        {"size": ids % 7},
        {"first": ends[:, 0], "last": ends[:, 1]},
    )


def sampled_inside(graph, many=4001):
    """How much of each edge is inside, in parts of its length."""
    ends = graph.locations[graph.edge_rows]
    part = np.linspace(0, 1, many)[:, None, None]
    places = ends[:, 0] + part * (ends[:, 1] - ends[:, 0])
    return graph.inside(ROI)[graph.edge_rows], np.stack(
        [ROI_inside(line) for line in places.transpose(1, 0, 2)]
    ).mean(axis=1)


def ROI_inside(places):
    begin, end = np.array(ROI.begin, float), np.array(ROI.end, float)
    return ((places >= begin) & (places < end)).all(axis=1)


@given(st.integers(0, 10**6), st.sampled_from([np.float32, np.float64]))
def test_all_that_was_inside_is(seed, dtype):
    graph = chance(seed, dtype=dtype)
    held, share = sampled_inside(graph)
    cut = trimmed(graph, ROI, in_full=True)
    assert cut.inside(ROI).all()
    lengths = np.linalg.norm(np.diff(graph.locations[graph.edge_rows], axis=1)[:, 0], axis=1)
    left = np.linalg.norm(np.diff(cut.locations[cut.edge_rows], axis=1)[:, 0], axis=1)
    numbers = graph.edge_values("first") * 1000 + graph.edge_values("last")
    found = cut.edge_values("first") * 1000 + cut.edge_values("last")
    after = dict(zip(found.tolist(), left.tolist(), strict=True))
    assert len(after) == len(found)
    for number, length, part in zip(numbers.tolist(), lengths, share, strict=True):
        assert abs(after.get(number, 0.0) - part * length) < 0.02 + 1e-3 * length
    through = passing(graph, ROI)
    assert not held[through].any()
    assert (through <= (share > 0)).all() or share[through].min() >= 0
    kept = graph.ids[graph.inside(ROI)]
    assert cut.ids[: len(kept)].tolist() == kept.tolist()
    assert cut.temporary.tolist() == [False] * len(kept) + [True] * (len(cut.ids) - len(kept))
    assert len(set(cut.ids.tolist())) == len(cut.ids)


def test_an_edge_that_passes_through_has_two_new_ends():
    nodes = [gp.Node(5, (-10, 0), attrs={"size": 3}), gp.Node(2, (30, 4), attrs={"size": 4})]
    spec = gp.GraphSpec(gp.Roi((-20, -20), (60, 60)), dtype=np.float64)
    graph = gp.Graph(nodes, [gp.Edge(5, 2, {"weight": 7})], spec)
    assert passing(graph, ROI).tolist() == [True]
    cut = trimmed(graph, ROI, in_full=True)
    assert cut.ids.tolist() == [6, 7]
    assert cut.edge_array.tolist() == [[6, 7]]
    np.testing.assert_allclose(cut.locations, [[0, 1], [20, 3]])
    assert cut.inside(ROI).all()
    assert cut.node_values("size").tolist() == [3, 4]
    assert cut.edge_values("weight").tolist() == [7]
    assert graph.trim(ROI).num_vertices() == 0


@pytest.mark.parametrize("missed", [((-5, 0), (-1, 5)), ((-5, 5), (5, 15)), ((20, -20), (20, 20))])
def test_an_edge_that_passes_by_is_not_there(missed):
    nodes = [gp.Node(n, place) for n, place in enumerate(missed)]
    graph = gp.Graph(nodes, [(0, 1)], gp.GraphSpec(gp.Roi((-30, -30), (90, 90)), dtype=np.float64))
    cut = trimmed(graph, ROI, in_full=True)
    assert (cut.num_vertices(), cut.num_edges()) == (0, 0)
    assert not passing(graph, ROI).any()


def test_whole_numbers_and_empty_graphs():
    graph = chance(3, dtype=np.int64)
    cut = trimmed(graph, ROI, in_full=True)
    assert cut.locations.dtype == np.int64
    assert cut.inside(ROI).all()
    nothing = graph.select(np.zeros(40, bool))
    assert trimmed(nothing, ROI, in_full=True).num_vertices() == 0
    unbounded = gp.Roi((None, -10), (None, 20))
    assert trimmed(graph, unbounded, in_full=True).inside(unbounded).all()


def test_cut_edges_lose_their_attributes_as_in_gunpowder():
    graph = chance(5)
    cut = graph.trim(ROI)
    held = graph.inside(ROI)[graph.edge_rows]
    assert (cut.edge_values("first", missing=-1) < 0).sum() == (held[:, 0] != held[:, 1]).sum()
