"""The places of a graph, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxflow.nodes.locations.listed_location import ListedLocation
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest, GraphKey
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from voxflow.nodes.locations.listed_location import Place
    from voxflow.pipeline.geometry import Roi


class Visited:
    """Whether all locations were served.

    Attributes
    ----------
    value
        True once the last one was.
    """

    value = False


class IterateLocations(ListedLocation):
    """Moves each request to a node of a graph: to one after the other, or to one at random.

    The middle of everything that is requested comes to lie on the node, rounded to the grid of the
    least common multiple of the voxel sizes of the requested arrays, halves to even. Nodes at which
    not all that is requested is there are left out, with a warning.

    One after the other: batch i of a run is at the i-th of those that fit, in the order of the
    graph, from the start again when they are used up. This follows from the number of the batch
    alone, so it is the same for any number of workers and after a resume; see `SpecifiedLocation`.

    Parameters
    ----------
    graph
        Whose nodes are the locations. It is read once, at setup.
    roi
        Only nodes in this region, in world units; None: all.
    node_id
        A nonspatial array that holds the id of the node, with shape (1,).
    choose_randomly
        Draw each node from all that fit, instead of one after the other.
    per_batch
        By how many nodes one batch is ahead of the one before. Give n upstream of ``Stack(n)``.

    Attributes
    ----------
    visited_all
        Its `value` is True once this process has served the last node; False again at setup.

    Raises
    ------
    TypeError
        If a key is of the wrong kind.
    ValueError
        If `per_batch` is less than 1. At setup: if there are no nodes.

    Notes
    -----
    A request that fits at none of the nodes raises a `SamplingError`, and is refused by
    `pipeline.check`.
    """

    def __init__(
        self,
        graph: GraphKey,
        roi: Roi | None = None,
        node_id: ArrayKey | None = None,
        choose_randomly: bool = False,
        *,
        per_batch: int = 1,
    ) -> None:
        if not isinstance(graph, GraphKey):
            raise TypeError(f"graph has to be a GraphKey, got {graph!r}")
        if node_id is not None and not isinstance(node_id, ArrayKey):
            raise TypeError(f"node_id has to be an ArrayKey, got {node_id!r}")
        if per_batch < 1:
            raise ValueError(f"per_batch has to be at least 1, got {per_batch}")
        self.graph = graph
        self.roi = roi
        self.node_id = node_id
        self.choose_randomly = choose_randomly
        self.per_batch = per_batch
        self.visited_all = Visited()

    def setup(self) -> None:
        """Read the nodes, and offer everything without bounds."""
        super().setup()
        there = self.bounded(self.graph).roi
        wanted = there if self.roi is None else there.intersect(self.roi)
        nodes = None if wanted.empty else self.read_part(self.graph, wanted)
        if nodes is None or not len(nodes.ids):
            raise ValueError(f"{self.name()}: {self.graph} has no nodes in {wanted} (world units)")
        self._ids = np.array(nodes.ids)
        self.visited_all = Visited()
        coordinates = [Coordinate(location) for location in nodes.locations.tolist()]
        self.list_locations(coordinates, self.choose_randomly, self.per_batch)
        if self.node_id is not None:
            self.provides(self.node_id, ArraySpec(nonspatial=True, dtype=self._ids.dtype))

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Say that everything lies where it was asked for, and which node it is."""
        super().process(batch, request)
        place: Place = self.plan(request)
        if place.last and not request.replayed:
            self.visited_all.value = True
        if self.node_id is not None and self.node_id in request:
            ids = self._ids[place.number : place.number + 1].copy()
            batch[self.node_id] = Array(ids, self.spec[self.node_id].copy())
