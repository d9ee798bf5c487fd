"""Graphs from anything that is asked for a region."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from voxflow.pipeline.data import Batch, BatchRequest, Edge, Graph, GraphKey, GraphSpec, Node
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Roi


class GraphSource(BatchProvider):
    """Offers the graph of a provider, such as those of funlib.persistence and daisy.

    Nodes without a position are left out, and edges to them.

    Parameters
    ----------
    graph_provider
        Anything with `directed` (whether edges have a direction), `position_attribute` (the
        attribute that holds the position of a node, or a list of attributes, one for each axis;
        world units), and ``graph_provider[roi]``, which gives a networkx graph.
    graph
        The name under which the graph is offered.
    graph_spec
        Its `roi`, and the `dtype` of its locations. None: offered everywhere, in float32.

    Raises
    ------
    TypeError
        If `graph` is no `GraphKey`.
    ValueError
        At setup, if `graph_spec` has another `directed` than the provider.
    """

    takes_no_input: ClassVar[bool] = True

    def __init__(
        self, graph_provider: Any, graph: GraphKey, graph_spec: GraphSpec | None = None
    ) -> None:
        if not isinstance(graph, GraphKey):
            raise TypeError(f"GraphSource offers a graph under a GraphKey, got {graph!r}")
        self.graph_provider = graph_provider
        self.graph = graph
        self.graph_spec = GraphSpec() if graph_spec is None else graph_spec.copy()

    def setup(self) -> None:
        """Offer the graph."""
        spec, directed = self.graph_spec.copy(), bool(self.graph_provider.directed)
        if spec.directed is not None and spec.directed != directed:
            raise ValueError(
                f"{self.name()}: the spec says directed={spec.directed}, the provider of "
                f"{self.graph} says directed={directed}"
            )
        spec.directed = directed
        self.provides(self.graph, spec)

    def provide(self, request: BatchRequest) -> Batch:
        """Ask the provider for the region."""
        batch = Batch()
        if self.graph not in request:
            return batch
        roi = request[self.graph].region
        spec = self.spec[self.graph].copy()
        batch[self.graph] = _read(self.graph_provider, roi, spec).crop(roi)
        return batch

    @staticmethod
    def create_gp_graph_from_daisy(graph_provider: Any, roi: Any) -> Graph:
        """Read the graph of a region.

        Parameters
        ----------
        graph_provider
            As above.
        roi
            The region, in world units.

        Returns
        -------
        Graph
            All nodes that the provider gives and that have a position, with their attributes.

        Raises
        ------
        ValueError
            If a position is no number for each axis.
        """
        region = Roi.like(roi)
        return _read(graph_provider, region, GraphSpec(region, bool(graph_provider.directed)))


def _read(graph_provider: Any, roi: Roi, spec: GraphSpec) -> Graph:
    found, names = graph_provider[roi], graph_provider.position_attribute
    nodes = [
        Node(key, place, attrs=dict(attrs))
        for key, attrs in found.nodes(data=True)
        if (place := _position(attrs, names)) is not None
    ]
    known = {node.id for node in nodes}
    edges = [
        Edge(u, v, dict(attrs))
        for u, v, attrs in found.edges(data=True)
        if u in known and v in known
    ]
    return Graph(nodes, edges, spec)


def _position(attrs: dict[str, Any], names: str | list[str] | tuple[str, ...]) -> Any:
    """Where a node lies; None if it has no place."""
    if isinstance(names, str):
        place = attrs.get(names)
        return None if place is None else np.asarray(place)
    entries = [attrs.get(name) for name in names]
    return None if any(entry is None for entry in entries) else np.array(entries)
