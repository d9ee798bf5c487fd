"""What nodes that choose a location have in common: all regions move together, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.locations.mask_windows import Windows
from voxflow.pipeline.data import ArrayKey, Batch, BatchRequest
from voxflow.pipeline.data.graph_ops import limits
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.engine.errors import RequestRefused
from voxflow.pipeline.engine.legacy_random import borrowed_state
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from voxflow.nodes.locations.room import Room
    from voxflow.pipeline.data import Graph, Key, ProviderSpec


class Located(BatchFilter):
    """A filter that moves all regions of a request by the same amount, and the batch back.

    Where a request lies does not matter then, only how its regions lie to each other. Subclasses
    say by how much in `shift_of`.
    """

    @property
    def upstream_spec(self) -> ProviderSpec:
        """What there is upstream, with its bounds."""
        return self.get_upstream_provider().spec

    def setup(self) -> None:
        """Offer everything without bounds."""
        for _, spec in self.spec.items():
            if spec.roi is not None:
                spec.roi = Roi((None,) * spec.roi.dims, (None,) * spec.roi.dims)

    def shift_of(self, request: BatchRequest) -> Coordinate:
        """By how much a request moves, in world units; the same at each call."""
        raise NotImplementedError(f"{self.name()} does not implement shift_of()")

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Ask for the same regions elsewhere."""
        return move(request, self.shift_of(request))

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Say that everything lies where it was asked for."""
        shift = self.shift_of(request)
        for key, spec in request.items():
            if spec.roi is None or key not in batch:
                continue
            if isinstance(key, ArrayKey):
                array = batch[key]
                placed = array.spec.copy()
                placed.roi = spec.roi
                batch[key] = array.placed(placed)
            else:
                batch[key] = _moved_back(batch[key], spec.roi, shift)

    def windows(self, key: ArrayKey, request: BatchRequest, room: Room) -> Windows:
        """The region that is asked of an array, in its voxels, at all places where it can lie.

        Raises
        ------
        RequestRefused
            If the array is not in the request, or nothing is asked of it.
        """
        if key not in request or request[key].region.empty:
            raise RequestRefused(
                [
                    f"{self._who()} looks at the region that is asked of {key}, which is "
                    f"{'empty' if key in request else 'not in the request'}. Add it: "
                    f"request.add({key}, size), with placeholder=True if you do not need its data."
                ]
            )
        spec, asked = self.upstream_spec[key], request[key].region
        voxel = spec.grid
        first = (asked.begin + room.shift(room.first) - spec.region.begin) / voxel  # type: ignore[arg-type]
        count = (b - a + 1 for a, b in zip(room.first, room.last, strict=True))  # type: ignore[operator]
        axes = (first, asked.shape / voxel, room.step / voxel, count)
        return Windows(*(tuple(int(n) for n in axis) for axis in axes))

    def bounded(self, key: Key) -> Any:
        """The spec of an array or a graph upstream that is to be read at setup.

        Raises
        ------
        KeyError
            If it is not provided upstream.
        ValueError
            If it is an array without region or without bounds.
        """
        spec = self.upstream_spec[key].copy()
        if isinstance(key, ArrayKey) and (spec.roi is None or spec.roi.unbounded):
            raise ValueError(
                f"{self.name()} has to read all of {key} at setup, which has "
                f"{'no region' if spec.roi is None else f'the unbounded region {spec.roi}'}. "
                f"Give it a bounded one: pad {key} by a number of world units, not by None."
            )
        return spec

    def read_whole(self, key: Key) -> Any:
        """All that there is of an array or a graph; raises like `bounded`."""
        return self.read_part(key, self.bounded(key).roi)

    def read_part(self, key: Key, roi: Roi) -> Any:
        """What there is of an array or a graph in a region."""
        spec = self.upstream_spec[key].copy()
        spec.roi = roi
        request = BatchRequest(random_seed=0)
        request[key] = spec
        with borrowed_state(True):  # nodes from outside may seed and draw
            return self.get_upstream_provider().request_batch(request)[key]


def move(request: BatchRequest, shift: Coordinate) -> BatchRequest:
    """Move all regions of a request, in place."""
    for _, spec in request.items():
        if spec.roi is not None:
            spec.roi = spec.roi.shift(shift)
    return request


def _moved_back(graph: Graph, roi: Roi, shift: Coordinate) -> Graph:
    held = graph.inside(roi.shift(shift))
    graph = graph.copy()
    graph.shift(-shift)
    graph.spec.roi = roi
    # Short floats are rounded where they move: what was inside stays inside.
    lowest, highest = limits(roi, graph.locations.dtype)
    graph.locations[held] = np.clip(graph.locations[held], lowest, highest)
    return graph
