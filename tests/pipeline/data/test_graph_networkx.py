import importlib

import numpy as np
import pytest

from voxflow.pipeline.data.graph import Graph
from voxflow.pipeline.data.node import Edge, Node
from voxflow.pipeline.data.spec import GraphSpec


def example(directed=True):
    nodes = [Node(1, (0, 1), attrs={"tags": ["a"]}), Node(2**64 - 1, (2, 3), temporary=True)]
    return Graph(nodes, [Edge(1, 2**64 - 1, {"w": 5})], GraphSpec(directed=directed))


@pytest.mark.parametrize("directed", [True, False])
def test_there_and_back(directed):
    networkx = pytest.importorskip("networkx")
    graph = example(directed)
    there = graph.to_nx_graph()
    assert isinstance(there, networkx.DiGraph) == directed
    data = there.nodes[1]
    assert (data["id"], data["temporary"], data["location"].tolist()) == (1, False, [0, 1])
    assert there.edges[1, 2**64 - 1] == {"w": 5}
    spec = GraphSpec()
    back = Graph.from_nx_graph(there, spec)
    assert spec.directed is directed
    assert back.ids.tolist() == graph.ids.tolist()
    assert back.locations.tolist() == graph.locations.tolist()
    assert back.temporary.tolist() == [False, True]
    assert back.edge((1, 2**64 - 1)).attrs == {"w": 5}

    data["tags"].append("b")
    data["location"][0] = 9
    assert graph.node(1).tags == back.node(1).tags == ["a"]
    assert graph.locations[0, 0] == back.locations[0, 0] == 0


def test_direction_of_the_spec_wins():
    networkx = pytest.importorskip("networkx")
    made = networkx.DiGraph()
    made.add_node(3, location=np.zeros(2))
    assert not Graph.from_nx_graph(made, GraphSpec(directed=False)).directed


def test_nodes_without_location():
    networkx = pytest.importorskip("networkx")
    made = networkx.Graph()
    made.add_edge(3, 4)
    made.nodes[3]["location"] = (0, 0)
    with pytest.raises(ValueError, match="1 of 2 nodes have no 'location', the first is 4"):
        Graph.from_nx_graph(made, GraphSpec())


def test_without_networkx(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match="pip install networkx"):
        example().to_nx_graph()
