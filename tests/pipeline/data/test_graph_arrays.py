import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.data.graph import Graph
from voxflow.pipeline.data.node import Edge, Node
from voxflow.pipeline.data.spec import GraphSpec
from voxflow.pipeline.geometry import Roi

WHOLE = Roi((-500, -500, -500), (1500, 1500, 1500))


def line(directed=True, dtype=np.float32):
    """Three nodes on the diagonal, in a chain."""
    nodes = [Node(1, (1, 1, 1)), Node(2, (500, 500, 500)), Node(3, (550, 550, 550))]
    return Graph(nodes, [Edge(1, 2), Edge(2, 3)], GraphSpec(WHOLE, directed=directed, dtype=dtype))


def cube(begin, end):
    return Roi((begin,) * 3, (end - begin,) * 3)


@st.composite
def graphs(draw):
    """A random graph in the plane, around a region of random place, and that region."""
    seed = draw(st.integers(0, 2**32 - 1))
    count = draw(st.integers(0, 12))
    begin = draw(st.tuples(*[st.integers(-30, 10)] * 2))
    shape = draw(st.tuples(*[st.integers(1, 20)] * 2))
    rng = np.random.default_rng(seed)
    ids = rng.permutation(100)[:count]
    edges = rng.choice(ids, (draw(st.integers(0, 20)) if count else 0, 2))
    whole = draw(st.booleans())
    locations = rng.integers(-40, 40, (count, 2)) if whole else rng.uniform(-40, 40, (count, 2))
    graph = Graph.from_arrays(
        ids,
        locations,
        edges,
        GraphSpec(directed=draw(st.booleans())),
        {"name": [f"n{i}" for i in ids]},
        {"ends": [f"{u}-{v}" for u, v in edges]},
    )
    return graph, Roi(begin, shape)


def facts(graph):
    nodes = {n.id: (tuple(n.location.tolist()), n.temporary, n.name) for n in graph.nodes}
    return nodes, {tuple(e): dict(e.attrs) for e in graph.edges}


# -- crop and trim ----------------------------------------------------------------------------


@given(graphs())
def test_crop_keeps_dangling_nodes(case):
    graph, roi = case
    before = facts(graph)
    nodes, edges = before
    held = {i for i, (place, *_) in nodes.items() if roi.contains(place)}
    kept = {ends: attrs for ends, attrs in edges.items() if held & set(ends)}
    linked = held | {i for ends in kept for i in ends}
    cropped = graph.crop(roi)
    assert facts(cropped) == ({i: nodes[i] for i in nodes if i in linked}, kept)
    assert facts(graph) == before
    assert cropped.spec.roi == roi
    assert graph.spec.roi is None
    assert cropped.stray(roi) is None
    assert cropped.crossing(roi).sum() == graph.crossing(roi).sum()


@given(graphs())
def test_crop_can_drop_what_crosses(case):
    graph, roi = case
    nodes, edges = facts(graph)
    held = {i for i, (place, *_) in nodes.items() if roi.contains(place)}
    kept = {ends: attrs for ends, attrs in edges.items() if held >= set(ends)}
    assert facts(graph.crop(roi, crossing="drop")) == (
        {i: nodes[i] for i in nodes if i in held},
        kept,
    )


@given(graphs(), st.booleans())
def test_trim_ends_at_the_faces(case, cropped_first):
    graph, roi = case
    before = facts(graph)
    nodes, edges = before
    held = {i for i, (place, *_) in nodes.items() if roi.contains(place)}
    trimmed = (graph.crop(roi) if cropped_first else graph).trim(roi)
    assert facts(graph) == before
    assert trimmed.inside(roi).all()
    after_nodes, after_edges = facts(trimmed)
    assert {i: after_nodes[i] for i in after_nodes if i in held} == {i: nodes[i] for i in held}
    made = [node for node in trimmed.nodes if node.temporary]
    assert {node.id for node in made} == after_nodes.keys() - held
    inner = {ends: attrs for ends, attrs in edges.items() if held >= set(ends)}
    assert {ends: a for ends, a in after_edges.items() if held >= set(ends)} == inner
    assert len(after_edges) == len(inner) + len(made)
    crossing = {e for e in edges if len(held & set(e)) == 1}
    assert len(made) <= len(crossing)
    for node in made:
        (u, v), attrs = next((e, a) for e, a in after_edges.items() if node.id in e)
        assert attrs == {}
        outer = int(node.name[1:])
        assert ((outer, v) if node.id == u else (u, outer)) in crossing
        start = graph.node(v if node.id == u else u).location.astype(float)
        way, whole = node.location - start, graph.node(outer).location - start
        assert abs(np.cross([*way, 0], [*whole, 0])).max() < 1e-3
        assert (way * whole).sum() >= 0
        faces = np.abs([node.location - roi.begin, node.location - np.array(roi.end, float)])
        assert faces.min() < 1e-4


def test_trim_counts_ids_up():
    trimmed = line().crop(cube(0, 50)).trim(cube(0, 50))
    assert trimmed.ids.tolist() == [1, 3]
    assert trimmed.edge_array.tolist() == [[1, 3]]
    below = np.nextafter(np.float32(50), np.float32(0))
    assert trimmed.locations.tolist() == [[1, 1, 1], [below] * 3]
    assert [node.original_id for node in trimmed.nodes] == [1, None]
    assert trimmed.spec.roi == cube(0, 50)
    both = line().crop(cube(25, 525)).trim(cube(25, 525))
    assert both.ids.tolist() == [2, 4, 5]
    assert both.edge_array.tolist() == [[4, 2], [2, 5]]
    assert np.allclose(both.locations, [[500] * 3, [25] * 3, [525] * 3])
    assert line().trim(cube(0, 50)).spec.roi == WHOLE
    assert line().trim(cube(0, 50)).ids.tolist() == [1, 4]
    again = line().crop(cube(0, 50), crossing="clip")
    assert again.locations.tolist() == trimmed.locations.tolist()


@pytest.mark.parametrize("end", [0, -20, 30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_trim_at_any_end(end, dtype):
    nodes = [Node(1, (end - 5, end - 5)), Node(2, (end + 5, end - 5))]
    spec = GraphSpec(Roi((-100, -100), (200, 200)), dtype=dtype)
    roi = Roi((end - 10, end - 10), (10, 10))
    trimmed = Graph(nodes, [(2, 1)], spec).trim(roi)
    assert trimmed.inside(roi).all()
    assert trimmed.edge_array.tolist() == [[3, 1]]
    expected = end - 1 if dtype is np.int64 else np.nextafter(dtype(end), dtype(-np.inf))
    assert trimmed.node(3).location.tolist() == [expected, end - 5]


def test_trim_leaves_out_edges_that_leave_from_the_face():
    nodes = [Node(1, (0, 5)), Node(2, (-5, 5)), Node(3, (5, 5))]
    trimmed = Graph(nodes, [(1, 2), (1, 3)], GraphSpec()).trim(Roi((0, 0), (10, 10)))
    assert trimmed.ids.tolist() == [1, 3]
    assert trimmed.edge_array.tolist() == [[1, 3]]


def test_trim_finds_ids_beside_the_largest():
    largest = 2**64 - 1
    graph = Graph([Node(largest, (1,)), Node(0, (9,))], [(largest, 0)], GraphSpec())
    trimmed = graph.trim(Roi((0,), (5,)))
    assert trimmed.ids.tolist() == [largest, 1]
    assert trimmed.edge_array.tolist() == [[largest, 1]]
    wide = Graph([Node(2**63 - 1, (1,)), Node(0, (9,))], [(0, 2**63 - 1)], GraphSpec())
    assert wide.trim(Roi((0,), (5,))).edge_array.tolist() == [[2**63, 2**63 - 1]]


def test_voxel_sizes_that_are_not_whole():
    graph = Graph([Node(1, (9.8,)), Node(2, (19.6,))], [(1, 2)], GraphSpec(Roi((0,), (98,))))
    roi = Roi((9.8,), (9.8,))
    assert graph.inside(roi).tolist() == [True, False]
    assert graph.crop(roi).trim(roi).inside(roi).all()


def test_cropped_spec_is_its_own():
    graph = line()
    cropped = graph.crop(cube(0, 50))
    cropped.spec.directed = False
    assert graph.spec.directed
    with pytest.raises(ValueError, match="crossing is 'keep', 'clip' or 'drop', got 'no'"):
        graph.crop(cube(0, 50), crossing="no")
    with pytest.raises(ValueError, match="has 1 dimensions, the locations have 3"):
        graph.crop(Roi((0,), (1,)))


def test_crop_to_nothing():
    cropped = line().crop(cube(600, 700))
    assert cropped.num_vertices() == 0
    assert cropped.locations.shape == (0, 3)
    assert cropped.trim(cube(600, 700)).num_vertices() == 0


def test_attributes_are_copied_deeply():
    graph = line()
    graph.node(1).tags = ["a"]
    graph.node(3).tags = ["c"]
    cropped = graph.crop(cube(0, 525), crossing="clip")
    assert cropped.node(4).tags == ["c"]
    cropped.node(1).tags.append("b")
    cropped.node(4).tags.append("d")
    assert (graph.node(1).tags, graph.node(3).tags) == (["a"], ["c"])
    assert not hasattr(cropped.node(2), "tags")


def test_stray():
    graph = line()
    assert graph.stray(None) is None
    assert graph.stray(WHOLE) is None
    assert graph.stray(cube(400, 525)) is None
    text = graph.stray(cube(0, 50))
    assert "1 edges have no end in [0:50, 0:50, 0:50]" in text
    assert "from node 2 at [500.0, 500.0, 500.0] to node 3" in text
    # Single nodes outside are the business of whoever made them.
    assert Graph([Node(1, (5,))], [], GraphSpec()).stray(Roi((0,), (1,))) is None


# -- the whole --------------------------------------------------------------------------------


def test_select_and_remove_nodes():
    graph = line()
    view = graph.node(3)
    part = graph.select(graph.ids > 1)
    assert (part.ids.tolist(), part.edge_array.tolist()) == ([2, 3], [[2, 3]])
    assert part.spec == graph.spec
    graph.remove_nodes([False, True, False])
    assert (graph.ids.tolist(), graph.num_edges()) == ([1, 3], 0)
    view.location = (0, 0, 0)
    assert graph.locations[1].tolist() == [0, 0, 0]
    for wrong in ([0, 1], [True], np.ones((2, 1), bool)):
        with pytest.raises(ValueError, match=r"booleans of shape \(2,\)"):
            graph.select(wrong)


def test_locations_can_be_set():
    graph = line()
    graph.locations = np.arange(9).reshape(3, 3)
    graph.map_locations(lambda places: places[:, ::-1] / 2)
    assert graph.locations.dtype == np.float32
    assert graph.node(1).location.tolist() == [1, 0.5, 0]
    with pytest.raises(ValueError, match=r"shape \(2, 3\), expected \(3, 3\)"):
        graph.locations = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(3, 3\)"):
        graph.map_locations(lambda places: places[:, :2])


def test_shift():
    graph = line()
    graph.shift((0.5, 1, 2))
    assert graph.locations[0].tolist() == [1.5, 2, 3]
    whole = line(dtype=np.int64)
    whole.shift(2)
    assert whole.locations[0].tolist() == [3, 3, 3]
    with pytest.raises(ValueError, match="cannot be held as int64"):
        whole.shift(0.5)
    with pytest.raises(ValueError, match="of 3 dimensions cannot be shifted"):
        whole.shift((1, 2))


@pytest.mark.parametrize("directed", [True, False])
def test_connected_components(directed):
    nodes = [Node(i, (i,)) for i in (7, 3, 9, 1, 5)]
    graph = Graph(nodes, [(9, 7), (3, 5), (1, 1)], GraphSpec(directed=directed))
    assert list(graph.connected_components) == [{7, 9}, {3, 5}, {1}]
    graph.relabel_connected_components()
    assert [node.component for node in graph.nodes] == [0, 1, 0, 2, 1]
    graph.remove_node(9)
    graph.relabel_connected_components()
    assert {node.id: node.component for node in graph.nodes} == {7: 0, 3: 1, 1: 2, 5: 1}


def test_a_hundred_thousand_nodes():
    count = 100_000
    rng = np.random.default_rng(0)
    ids = rng.permutation(count) + 5
    places = rng.uniform(0, 1000, (count, 3))
    edges = np.stack([ids[:-1], ids[1:]], axis=1)
    attrs = {"radius": rng.uniform(size=count), "type": np.repeat("axon", count).astype(object)}
    roi = cube(0, 700)
    start = time.process_time()
    graph = Graph.from_arrays(ids, places, edges, GraphSpec(cube(0, 1000)), attrs)
    trimmed = graph.crop(roi).trim(roi)
    graph.shift((1, 2, 3))
    graph.map_locations(lambda p: p * 2)
    graph.copy().relabel_connected_components()
    assert trimmed.inside(roi).all()
    assert trimmed.stray(roi) is None
    assert time.process_time() - start < 3
