"""Graphs to networkx and back, without needing it otherwise."""

from __future__ import annotations

import copy
import importlib
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.node import Edge, Node

if TYPE_CHECKING:
    from voxflow.pipeline.data.graph import Graph


def to_networkx(graph: Graph) -> Any:
    """A networkx graph with the same nodes, edges and attributes.

    Raises
    ------
    ImportError
        If networkx is not installed.
    """
    try:
        networkx: Any = importlib.import_module("networkx")
    except ImportError as error:
        raise ImportError(
            "to_nx_graph makes a networkx graph, and networkx is not installed: "
            "pip install networkx"
        ) from error
    made = networkx.DiGraph() if graph.directed else networkx.Graph()
    for node in graph.nodes:
        attrs = {**node.attrs, "location": node.location.copy()}
        made.add_node(node.id, **copy.deepcopy(attrs))
    for edge in graph.edges:
        made.add_edge(edge.u, edge.v, **copy.deepcopy(dict(edge.attrs)))
    return made


def from_networkx(graph: Any) -> tuple[list[Node], list[Edge]]:
    """The nodes and edges of a networkx graph, copied.

    Raises
    ------
    ValueError
        If nodes have no location.
    """
    lost = [key for key, attrs in graph.nodes.items() if "location" not in attrs]
    if lost:
        raise ValueError(
            f"{len(lost)} of {len(graph)} nodes have no 'location', the first is {lost[0]!r}"
        )
    nodes = [
        Node.from_attrs({**copy.deepcopy(attrs), "id": key}) for key, attrs in graph.nodes.items()
    ]
    edges = [
        Edge.from_attrs({**copy.deepcopy(attrs), "u": u, "v": v})
        for u, v, attrs in graph.edges(data=True)
    ]
    return nodes, edges
