"""Graphs that are in memory already."""

from __future__ import annotations

from typing import ClassVar

from voxflow.pipeline.data import Batch, BatchRequest, Graph, GraphKey
from voxflow.pipeline.engine import BatchProvider


class GPGraphSource(BatchProvider):
    """Offers one graph from memory.

    What is served ends at the faces of the region: an edge that leaves it is cut, and ends in a
    temporary node (see `voxflow.Graph.trim`).

    Parameters
    ----------
    key
        The name under which the graph is offered.
    graph
        The graph. It is not copied, and not changed. Where its spec has no roi, it is offered
        everywhere.

    Raises
    ------
    TypeError
        If `key` is no `GraphKey`, or `graph` no `Graph`.

    Examples
    --------
    >>> import voxflow as gp
    >>> points = gp.GraphKey("POINTS")
    >>> graph = gp.Graph([gp.Node(1, (2, 2)), gp.Node(2, (8, 2))], [(1, 2)], gp.GraphSpec())
    >>> source = gp.GPGraphSource(points, graph)
    >>> with gp.build(source) as pipeline:
    ...     request = gp.BatchRequest({points: gp.Roi((0, 0), (4, 4))})
    ...     print(pipeline.request_batch(request)[points].locations)
    [[2.        2.       ]
     [3.9999998 2.       ]]
    """

    takes_no_input: ClassVar[bool] = True

    def __init__(self, key: GraphKey, graph: Graph) -> None:
        if not isinstance(key, GraphKey):
            raise TypeError(f"GPGraphSource offers a graph under a GraphKey, got {key!r}")
        if not isinstance(graph, Graph):
            raise TypeError(f"GPGraphSource offers a Graph, got {type(graph).__name__}")
        self.key = key
        self.graph = graph

    def setup(self) -> None:
        """Offer the graph."""
        self.provides(self.key, self.graph.spec.copy())

    def provide(self, request: BatchRequest) -> Batch:
        """Cut out the region that is asked for."""
        batch = Batch()
        if self.key in request:
            roi = request[self.key].roi
            whole = roi is None
            batch[self.key] = self.graph.copy() if whole else self.graph.crop(roi, crossing="clip")
        return batch
