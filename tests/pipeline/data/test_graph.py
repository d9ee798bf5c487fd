import copy
import pickle

import numpy as np
import pytest

from voxflow.pipeline.data.graph import Graph
from voxflow.pipeline.data.node import Edge, Node
from voxflow.pipeline.data.spec import GraphSpec
from voxflow.pipeline.geometry import Coordinate, Roi

LARGEST = 2**64 - 1


def ring(directed=True, **spec):
    """Five nodes on the diagonal, linked in a ring."""
    nodes = (Node(i, (i, i, i)) for i in range(5))
    edges = [Edge(0, 1), Edge(1, 2), Edge(2, 3), Edge(3, 4), Edge(4, 0)]
    return Graph(nodes, edges, GraphSpec(Roi((0, 0, 0), (5, 5, 5)), directed=directed, **spec))


def ids_of(nodes):
    return [node.id for node in nodes]


# -- making one -------------------------------------------------------------------------------


def test_nodes_and_edges_of_any_iterable():
    spec = GraphSpec()
    graph = Graph((Node(i, [i, 0]) for i in (3, 1)), ((a, b) for a, b in [(3, 1)]), spec)
    assert graph.spec is spec
    assert ids_of(graph.nodes) == [3, 1] == graph.ids.tolist()
    assert [tuple(edge) for edge in graph.edges] == [(3, 1)] == [tuple(graph.edge_array[0])]
    assert graph.locations.tolist() == [[3, 0], [1, 0]]
    assert (graph.num_vertices(), graph.num_edges()) == (2, 1)
    assert graph.contains(3)
    assert not graph.contains(2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_locations_take_the_dtype_of_the_spec_and_given_nodes_stay(dtype):
    node = Node(1, np.array([1, 2], np.int16))
    graph = Graph([node], [], GraphSpec(dtype=dtype))
    assert graph.locations.dtype == graph.node(1).location.dtype == dtype
    assert node.location.dtype == np.int16
    graph.node(1).location += 1
    assert node.location.tolist() == [1, 2]


def test_without_a_dtype_locations_keep_theirs():
    assert Graph([Node(1, np.zeros(2, np.float16))], [], GraphSpec(dtype=None)).locations.dtype == (
        np.float16
    )


def test_mistakes_are_named():
    nodes = [Node(1, (0, 0)), Node(2, (1, 1))]
    with pytest.raises(
        KeyError, match=r"1 edges lead to nodes .* of 2 nodes, the first from 1 to 7"
    ):
        Graph(nodes, [Edge(1, 2), Edge(1, 7)], GraphSpec())
    with pytest.raises(ValueError, match="belong to more than one node: 1"):
        Graph([*nodes, nodes[0]], [], GraphSpec())
    with pytest.raises(ValueError, match=r"locations of \[1, 2\] dimensions"):
        Graph([*nodes, Node(3, (1,))], [], GraphSpec())
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected \(2, 3\)"):
        Graph(nodes, [], GraphSpec(Roi((0, 0, 0), (1, 1, 1))))
    with pytest.raises(TypeError, match="ids of nodes are integers"):
        Graph([Node("a", (0, 0))], [], GraphSpec())
    with pytest.raises(ValueError, match="not finite"):
        Graph([Node(1, (0, np.nan))], [], GraphSpec())


def test_from_arrays():
    graph = Graph.from_arrays(
        np.array([5, LARGEST], np.uint64),
        [[0, 1], [2, 3]],
        [[LARGEST, 5]],
        GraphSpec(),
        node_attrs={"radius": [1.5, 2.5], "name": ["a", None]},
        edge_attrs={"weight": np.array([7])},
        temporary=[False, True],
    )
    assert graph.ids.tolist() == [5, LARGEST]
    node = graph.node(LARGEST)
    assert (node.radius, node.name, node.temporary, node.original_id) == (2.5, None, True, None)
    assert graph.edge((LARGEST, 5)).attrs["weight"] == 7
    assert graph.node_attributes == ["radius", "name"]
    assert graph.edge_attributes == ["weight"]


def test_from_arrays_copies():
    locations, radius = np.zeros((1, 2), np.float32), np.zeros(1)
    graph = Graph.from_arrays([1], locations, [], GraphSpec(), {"radius": radius})
    graph.locations[...] = 5
    graph.node(1).radius = 5
    assert locations.max() == radius.max() == 0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((np.array([[1]]), [[0]], []), ValueError, r"ids have the shape \(1, 1\)"),
        (([1, 2], [[0, 0]], []), ValueError, r"shape \(1, 2\), expected \(2, dims\)"),
        (([1, 2], [], []), ValueError, r"shape \(0,\), expected \(2, dims\)"),
        (([], [[0, 0]], []), ValueError, r"shape \(1, 2\), expected \(0, dims\)"),
        (([1], [[0]], [[1, 1, 1]]), ValueError, "pair of ids, got one of 3"),
        (([1], [[0]], [[1, 2]]), KeyError, "the first from 1 to 2"),
        (([1], [[0]], [], {"x": [1, 2]}), ValueError, r"'x' has the shape \(2,\), needs 1"),
        (([1], [[0]], [], {"location": [1]}), ValueError, "'location' has its own place"),
        (([1], [[0]], [[1, 1]], {}, {"u": [1]}), ValueError, "'u' has its own place"),
        (([1], [[0]], [], {}, {}, [True, False]), ValueError, "differ in length"),
    ],
)
def test_from_arrays_mistakes(arguments, error, text):
    ids, locations, edges, *attrs = arguments
    with pytest.raises(error, match=text):
        Graph.from_arrays(ids, locations, edges, GraphSpec(), *attrs)


def test_an_edge_that_is_there_twice_counts_once():
    nodes = [Node(i, (i,)) for i in range(3)]
    edges = [Edge(0, 1, {"a": 1}), Edge(1, 2), Edge(0, 1, {"b": 2}), Edge(1, 0, {"c": 3})]
    directed = Graph(nodes, edges, GraphSpec())
    assert directed.edge_array.tolist() == [[0, 1], [1, 2], [1, 0]]
    assert directed.edge((0, 1)).attrs == {"a": 1, "b": 2}
    undirected = Graph(nodes, edges, GraphSpec(directed=False))
    assert undirected.edge_array.tolist() == [[0, 1], [1, 2]]
    assert undirected.edge((1, 0)).attrs == {"a": 1, "b": 2, "c": 3}


def test_empty_graph_learns_its_dimensions():
    graph = Graph([], [], GraphSpec())
    assert list(graph.nodes) == list(graph.edges) == list(graph.connected_components) == []
    graph.add_node(Node(1, (1, 2, 3)))
    assert graph.locations.tolist() == [[1, 2, 3]]
    with pytest.raises(ValueError, match=r"expected \(N, 3\)"):
        graph.add_node(Node(2, (1, 2)))
    assert graph.num_vertices() == 1
    assert Graph([], [], GraphSpec(Roi((0, 0), (1, 1)))).locations.shape == (0, 2)


# -- views ------------------------------------------------------------------------------------


def test_nodes_write_through():
    graph = ring()
    for node in graph.nodes:
        node.location = node.location * 10
        node.temporary = node.id == 2
        node.name = f"n{node.id}"
    assert graph.locations[:, 0].tolist() == [0, 10, 20, 30, 40]
    assert graph.temporary.tolist() == [False, False, True, False, False]
    assert graph.node_values("name").tolist() == ["n0", "n1", "n2", "n3", "n4"]
    node = graph.node(3)
    node.location += 1
    node.location[0] = 5
    assert graph.node(3).location.tolist() == [5, 31, 31]
    assert hasattr(node, "name")
    del node.name
    assert not hasattr(graph.node(3), "name")
    with pytest.raises(
        AttributeError, match=r"node 3 has no attribute 'name'; it has id, location"
    ):
        _ = node.name
    with pytest.raises(AttributeError, match="no attribute"):
        del node.name
    with pytest.raises(AttributeError, match="id cannot become 9"):
        node.id = 9
    with pytest.raises(ValueError, match=r"expected \(N, 3\)"):
        node.location = (1, 2)
    assert dict(node.attrs).keys() == {"id", "location", "temporary"}


def test_edges_write_through():
    graph = ring()
    for edge in graph.edges:
        edge.attrs["sum"] = edge.u + edge.v
    assert graph.edge_values("sum").tolist() == [1, 3, 5, 7, 4]
    edge = graph.edge(Edge(4, 0))
    assert edge.all == {"u": 4, "v": 0, "sum": 4}
    del edge.attrs["sum"]
    assert len(edge.attrs) == 0
    assert graph.edge_values("sum", -1).tolist() == [1, 3, 5, 7, -1]
    with pytest.raises(KeyError, match="is an end of the edge"):
        edge.attrs["u"] = 3
    with pytest.raises(KeyError, match="no edge from 0 to 4 in this graph of 5 edges"):
        graph.edge((0, 4))
    assert tuple(ring(directed=False).edge((0, 4))) == (4, 0)


def test_views_follow_their_rows():
    graph = ring()
    last, removed, edge = graph.node(4), graph.node(1), graph.edge((3, 4))
    lost = graph.edge((0, 1))
    graph.remove_node(1)
    assert graph.ids.tolist() == [0, 2, 3, 4]
    last.location = (9, 9, 9)
    edge.attrs["kept"] = True
    assert graph.locations[3].tolist() == [9, 9, 9]
    assert graph.edge((3, 4)).attrs["kept"]
    with pytest.raises(AttributeError, match="node 1 has been removed"):
        _ = removed.location
    with pytest.raises(AttributeError, match="has been removed"):
        lost.attrs["x"] = 1


def test_views_that_travel_become_values():
    node = copy.deepcopy(ring().node(3))
    node.location[0] = 7
    assert (node.id, node.location.tolist()) == (3, [7, 3, 3])


def test_graphs_can_be_edited_while_going_through_them():
    graph = ring()
    seen = []
    for node in graph.nodes:
        seen.append(node.id)
        if node.id < 2:
            graph.remove_node(node)
            assert graph.num_vertices() == len(graph.ids)
            graph.add_node(Node(node.id + 10, node.location))
            if graph.contains(4):
                graph.remove_node(4)
    assert seen == [0, 1, 2, 3]
    assert graph.ids.tolist() == [2, 3, 10, 11]
    ends = []
    for edge in graph.edges:
        ends.append(tuple(edge))
        graph.remove_node(edge.v)
    assert ends == [(2, 3)]


def test_attributes_are_read_as_they_were_given():
    tags = ["x"]
    graph = Graph([Node(1, (0,), attrs={"tags": tags, "n": 3})], [], GraphSpec())
    assert graph.node(1).tags is tags
    assert type(graph.node(1).n) is int
    fast = Graph.from_arrays([1], [[0]], [], GraphSpec(), {"n": [3], "v": np.ones((1, 2))})
    assert type(fast.node(1).n) is int
    fast.node(1).v[0] = 5
    assert fast.node_values("v").tolist() == [[5, 1]]


# -- links ------------------------------------------------------------------------------------


def test_neighbors():
    directed, undirected = ring(), ring(directed=False)
    assert ids_of(directed.neighbors(Node(0, (0, 0, 0)))) == [1, 4]
    assert ids_of(undirected.neighbors(0)) == [1, 4]
    assert list(directed.successors(0)) == [1]
    assert list(directed.predecessors(0)) == [4]
    assert list(undirected.successors(0)) == list(undirected.predecessors(0)) == [1, 4]
    with pytest.raises(KeyError, match="no node 9 in this graph of 5 nodes"):
        list(directed.neighbors(9))


def test_neighbors_come_once_successors_first():
    nodes = [Node(i, (i,)) for i in range(4)]
    graph = Graph(nodes, [(3, 1), (1, 2), (2, 1), (1, 0)], GraphSpec())
    assert ids_of(graph.neighbors(1)) == [2, 0, 3]


def test_direction_can_change_with_the_spec():
    graph = ring()
    assert list(graph.successors(0)) == [1]
    graph.spec.directed = False
    assert not graph.directed
    assert list(graph.successors(0)) == [1, 4]
    assert Graph([], [], GraphSpec()).directed


def test_in_degree():
    graph = ring()
    graph.add_edge((0, 2))
    assert list(graph.in_degree()) == [(0, 1), (1, 1), (2, 2), (3, 1), (4, 1)]
    assert graph.in_degree()[2] == 2
    assert len(graph.in_degree()) == 5
    assert dict(ring(directed=False).in_degree()) == dict.fromkeys(range(5), 2)


# -- edits ------------------------------------------------------------------------------------


def test_add_node_overwrites_attributes():
    graph = ring()
    graph.add_node(Node(2, [7, 7, 7], attrs={"a": 1}))
    graph.add_node(Node(2, [8, 8, 8], attrs={"b": 2}))
    node = graph.node(2)
    assert (node.location.tolist(), node.a, node.b) == ([8, 8, 8], 1, 2)
    assert graph.num_vertices() == 5


def test_many_nodes_and_edges_one_by_one():
    graph = Graph([], [], GraphSpec())
    for i in range(100):
        graph.add_node(Node(i, (i,), attrs={"even": True} if i % 2 == 0 else {}))
        if i:
            graph.add_edge(Edge(i - 1, i, {"i": i}))
    for i in range(0, 100, 3):
        graph.remove_node(i)
    rest = [i for i in range(100) if i % 3]
    assert graph.ids.tolist() == rest
    assert graph.locations[:, 0].tolist() == rest
    assert graph.edge_array.tolist() == [[i, i + 1] for i in range(99) if i % 3 == 1]
    assert graph.edge_values("i").tolist() == [i + 1 for i in range(99) if i % 3 == 1]
    assert [node.id for node in graph.nodes if hasattr(node, "even")] == [
        i for i in rest if i % 2 == 0
    ]


def test_a_removed_node_keeps_its_values():
    graph = ring()
    node, stale = graph.node(2), graph.node(2)
    graph.remove_node(node)
    assert graph.ids.tolist() == [0, 1, 3, 4]
    graph.locations[...] = 0
    node.location += 1
    assert (node.id, node.location.tolist()) == (2, [3, 3, 3])
    assert not hasattr(stale, "location")
    assert graph.locations.max() == 0


def test_a_removed_id_can_come_back():
    graph = ring()
    graph.remove_node(graph.node(2))
    graph.add_node(Node(2, (7, 7, 7)))
    assert list(graph.neighbors(2)) == []
    graph.add_edge((2, 0))
    assert graph.ids.tolist() == [0, 1, 3, 4, 2]
    assert graph.edge_array.tolist() == [[0, 1], [3, 4], [4, 0], [2, 0]]


@pytest.mark.parametrize("directed", [True, False])
def test_remove_node_retaining_connectivity(directed):
    graph = ring(directed)
    graph.add_edge(Edge(4, 1, {"kept": 1}))
    graph.add_edge((0, 0))
    graph.remove_node(0, retain_connectivity=True)
    assert graph.edge_array.tolist() == [[1, 2], [2, 3], [3, 4], [4, 1]]
    assert graph.edge((4, 1)).attrs == {"kept": 1}
    graph.remove_node(3, retain_connectivity=True)
    assert graph.edge_array.tolist() == [[1, 2], [4, 1], [2, 4]]
    graph.remove_node(1)
    assert graph.edge_array.tolist() == [[2, 4]]


def test_retained_connectivity_joins_all_with_all():
    nodes = [Node(i, (i,)) for i in range(5)]
    graph = Graph(nodes, [(0, 2), (1, 2), (2, 3), (2, 4), (2, 1)], GraphSpec())
    graph.remove_node(2, retain_connectivity=True)
    assert sorted(map(tuple, graph.edge_array.tolist())) == [(0, 1), (0, 3), (0, 4), (1, 3), (1, 4)]


def test_edges_one_by_one():
    graph = ring()
    graph.add_edge(Edge(0, 1, {"w": 1}))
    assert graph.num_edges() == 5
    assert graph.edge((0, 1)).attrs == {"w": 1}
    graph.remove_edge((0, 1))
    graph.remove_edge(graph.edge((4, 0)))
    assert graph.num_edges() == 3
    assert list(graph.neighbors(0)) == []
    with pytest.raises(KeyError, match="no edge from 0 to 1 in this graph of 3 edges"):
        graph.remove_edge((0, 1))
    with pytest.raises(KeyError, match="no node 77"):
        graph.add_edge((0, 77))
    with pytest.raises(KeyError, match="no node 77"):
        graph.remove_node(77)
    undirected = ring(directed=False)
    undirected.remove_edge((0, 4))
    assert ids_of(undirected.neighbors(0)) == [1]


def test_ids_to_the_last_bit():
    graph = Graph([Node(2**53, (0,)), Node(2**53 + 1, (1,))], [], GraphSpec())
    assert graph.ids.dtype == np.int64
    graph.add_node(Node(LARGEST, (2,)))
    graph.add_edge((2**53 + 1, LARGEST))
    assert graph.ids.tolist() == [2**53, 2**53 + 1, LARGEST]
    assert graph.edge_array.tolist() == [[2**53 + 1, LARGEST]]
    assert graph.node(LARGEST).location.tolist() == [2]
    assert list(graph.neighbors(2**53)) == []
    assert graph.crop(Roi((2,), (1,))).ids.tolist() == [2**53 + 1, LARGEST]
    with pytest.raises(ValueError, match="do not fit into 64 bits"):
        graph.add_node(Node(-1, (0,)))
    with pytest.raises(ValueError, match="do not fit into 64 bits"):
        graph.add_node(Node(2**64, (0,)))
    assert graph.num_vertices() == 3


def test_numpy_ids_find_their_nodes():
    graph = ring()
    assert graph.node(np.uint8(3)).id == 3
    assert graph.contains(np.int64(3))
    assert type(graph.node(np.uint8(3)).id) is int


def test_ids_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        ring().ids[0] = 5


# -- elsewhere --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g)), lambda g: g.copy()]
)
def test_copies_share_nothing(again):
    graph = ring()
    graph.node(1).tags = ["a"]
    graph.edge((0, 1)).attrs["tags"] = ["b"]
    graph.remove_node(3)
    other = again(graph)
    other.node(1).tags.append("x")
    other.edge((0, 1)).attrs["tags"].append("x")
    other.shift(5)
    other.spec.roi = Roi((1, 1, 1), (1, 1, 1))
    other.remove_node(0)
    assert graph.ids.tolist() == [0, 1, 2, 4]
    assert graph.node(1).tags == ["a"]
    assert graph.edge((0, 1)).attrs["tags"] == ["b"]
    assert graph.locations[3].tolist() == [4, 4, 4]
    assert graph.spec.roi == Roi((0, 0, 0), (5, 5, 5))
    assert other.ids.tolist() == [1, 2, 4]


def test_pickle_is_as_small_as_the_arrays():
    count = 1000
    graph = Graph.from_arrays(
        np.arange(count), np.zeros((count, 3)), np.zeros((0, 2), int), GraphSpec()
    )
    graph.node(5), list(graph.neighbors(5))
    assert len(pickle.dumps(graph)) < count * (8 + 12 + 1) + 2000


def test_str():
    graph = Graph([Node(1, [0]), Node(2, [1], temporary=True)], [(1, 2)], GraphSpec())
    assert str(graph) == (
        "Vertices:\nNode(False) (1) at ([0.])\nNode(True) (2) at ([1.])\nEdges:\n(1, 2)\n"
    )
    assert repr(graph).startswith("<Graph of 2 nodes, 1 edges; ROI: None")


def test_new_graph_is_empty():
    graph = ring(directed=False)
    new = graph.new_graph()
    assert (new.num_vertices(), new.directed, new.spec == graph.spec) == (0, False, True)
    assert new.spec is not graph.spec


def test_graphs_are_not_merged():
    with pytest.raises(NotImplementedError, match="replace the graph"):
        ring().merge(ring())


def test_shift_is_in_place():
    graph = ring()
    graph.shift(Coordinate(0.5, 0, -1))
    assert graph.locations[2].tolist() == [2.5, 2, 1]
