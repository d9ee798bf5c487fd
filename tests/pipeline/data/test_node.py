import copy
import pickle

import numpy as np
import pytest

from voxflow.pipeline.data.node import Edge, Node


def test_attributes_of_any_name():
    node = Node(1, (1.0, 2.0), attrs={"radius": 3})
    assert (node.id, node.location.tolist(), node.temporary, node.radius) == (1, [1, 2], False, 3)
    node.color = "red"
    assert node.attrs["color"] == node.all["color"] == "red"
    assert set(node.attrs) == {"radius", "id", "location", "temporary", "color"}
    del node.color
    assert not hasattr(node, "color")
    with pytest.raises(AttributeError, match=r"node 1 has no attribute 'color'; it has radius"):
        _ = node.color
    with pytest.raises(AttributeError, match="no attribute 'color'"):
        del node.color
    with pytest.raises(AttributeError, match="cannot be without its location"):
        del node.location
    with pytest.raises(AttributeError, match="set single attributes"):
        node.attrs = {}


def test_given_dict_is_adopted():
    attrs = {"radius": 3}
    node = Node(1, (0,), attrs=attrs)
    node.radius = 4
    assert attrs["radius"] == 4


def test_original_id():
    assert Node(5, (0,)).original_id == 5
    assert Node(5, (0,), temporary=True).original_id is None


@pytest.mark.parametrize("location", [[1, 2], (1.5, 2), np.array([1, 2]), range(2)])
def test_locations_become_arrays(location):
    node = Node(1, location)
    assert node.location.tolist() == list(location)
    node.location = [7, 8]
    assert node.location.tolist() == [7, 8]


@pytest.mark.parametrize("location", [3, None, "ab", [[1, 2]], [1, [2, 3]], ["a"], [1j]])
def test_locations_that_are_none(location):
    with pytest.raises(ValueError, match="location of node 9 has to be one number"):
        Node(9, location)
    with pytest.raises(ValueError, match="location of node 9"):
        Node(9, (0,)).location = location


def test_equal_by_id():
    assert Node(1, (0,)) == Node(1, (5,))
    assert Node(1, (0,)) != Node(2, (0,))
    assert Node(1, (0,)) != 1
    assert len({Node(1, (0,)), Node(1, (5,)), Node(2, (0,))}) == 2


def test_from_attrs():
    node = Node.from_attrs({"id": 3, "location": [1], "temporary": True, "x": 1})
    assert (node.id, node.temporary, node.x) == (3, True, 1)
    with pytest.raises(KeyError, match=r"needs 'location', the attributes are: id"):
        Node.from_attrs({"id": 3})


def test_str():
    assert str(Node(3, np.array([1, 2]))) == "Node(False) (3) at ([1 2])"


@pytest.mark.parametrize("again", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_nodes_and_edges_travel(again):
    node = again(Node(3, (1.5,), attrs={"x": [1]}))
    assert (node.id, node.location.tolist(), node.x) == (3, [1.5], [1])
    edge = again(Edge(1, 2**64 - 1, {"w": 2}))
    assert (tuple(edge), edge.attrs) == ((1, 2**64 - 1), {"w": 2})


def test_edges():
    edge = Edge(1, 2, {"weight": 3})
    assert tuple(edge) == (edge.u, edge.v) == (1, 2)
    assert edge == Edge(1, 2)
    assert hash(edge) == hash(Edge(1, 2))
    assert edge != Edge(2, 1)
    assert edge != (1, 2)
    assert edge is not None
    assert edge != "x"
    assert edge.directed_eq(Edge(1, 2))
    assert not edge.directed_eq(Edge(2, 1))
    assert edge.undirected_eq(Edge(2, 1))
    assert not edge.undirected_eq(Edge(2, 3))
    assert edge.all == {"weight": 3, "u": 1, "v": 2}
    assert repr(edge) == "(1, 2)"
    with pytest.raises(AttributeError, match="cannot be set"):
        edge.u = 5
    assert Edge.from_attrs(edge.all).attrs == {"weight": 3}
    with pytest.raises(KeyError, match="an edge needs 'v'"):
        Edge.from_attrs({"u": 1})
