"""The one machine behind all nodes that move voxels and points."""

from __future__ import annotations

import math
from operator import sub
from typing import TYPE_CHECKING, Any, Literal

from voxflow.nodes.augment.augment import Augment
from voxflow.nodes.augment.fitting import OnFailure, check_on_failure, clipped, fitted, still
from voxflow.nodes.augment.moved_graph import Edges, check_edges, moved_graph
from voxflow.nodes.augment.turned_array import grown_for, turned
from voxflow.ops.maps import Compose
from voxflow.ops.recipe import Recipe
from voxflow.ops.resampling.resample import joint_order
from voxflow.pipeline.data import Array, Batch, BatchRequest, GraphKey
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.ops.maps import Map
    from voxflow.ops.resampling.resample import Order
    from voxflow.ops.symmetries import Symmetry
    from voxflow.pipeline.data import ArrayKey


class SpatialAugment(Augment):
    """Shows a batch through a random map of positions.

    Subclasses only draw the map, once for all arrays and graphs of a request: see
    `voxflow.ops.maps`. Upstream is asked for the regions that the map reads. Maps of nodes that
    follow one another are one map, through which every array is resampled once, together with
    changes of its values; points are moved exactly. Arrays that are not interpolatable (labels,
    masks), and arrays of which it is not known, are not interpolated: see `labels`. Points that
    end up outside of the region are dropped; for edges that leave it see `edges`.

    Values that speak of directions or neighbours (see `kind` of `ArraySpec`) are turned where they
    can be. Where they cannot, that is an error: they have to be made downstream, from what was
    moved.

    Attributes
    ----------
    labels
        How arrays are resampled that are not interpolated: "nearest", or "majority" for the value
        that fills most of each voxel (see `voxflow.ops.maps.Map.resample`). Where nodes that follow
        one another differ, it is the majority.
    edges
        What becomes of edges of graphs that are only partly inside of the region. "keep": those
        with one end inside stay, and with them the nodes outside at their other ends, as in
        `Graph.crop`. "clip": they end on the faces of the region, in temporary nodes that have the
        attributes of the nodes outside. "drop": they go. What is clipped or dropped is counted in
        the `profiling_stats` of the batch.
    on_failure
        What is done where the map reads more than there is upstream. "error": upstream says so.
        "retry": another map is drawn, up to 9 times, and then none. "skip": nothing is moved.
        "pad": what is not there is 0. "reflect": it is what is there, mirrored at the border.
        ``batch.profiling_stats.get_counts()`` says how many maps were drawn, and how many failed.
        The last two need to know where data end. `RandomLocation` offers everything without bounds:
        put `Pad` upstream of it instead.
    """

    looks_at_nothing = True
    labels: Literal["nearest", "majority"] = "nearest"
    edges: Edges = "keep"
    on_failure: OnFailure = "error"

    def _options(
        self,
        edges: Edges,
        on_failure: OnFailure,
        labels: Literal["nearest", "majority"] = "nearest",
    ) -> None:
        """Keep what all such nodes can be told, or raise an error that says what that is."""
        self.labels = check_labels(labels)
        self.edges = check_edges(edges)
        self.on_failure = check_on_failure(on_failure)

    def draw(self, request: BatchRequest, rng: Any) -> Map:
        """The map from output to input positions."""
        raise NotImplementedError

    def possible(self, request: BatchRequest) -> Iterable[Symmetry | None]:
        """The mirrors and transpositions that may be drawn; None for any map that is none.

        What cannot be turned is so found before the run, even if it is drawn rarely.
        """
        return ()

    def plan(self, request: BatchRequest) -> Map:
        """The map for this request, drawn once, and as `on_failure` says."""
        warp: Map = super().plan(request)
        plans = request._plans
        if self.on_failure == "error" or plans is None:
            return warp
        if "fitted" not in plans:
            plans["fitted"] = fitted(self, request, warp)
        chosen: Map = plans["fitted"].warp
        return chosen

    def prepare(self, request: BatchRequest) -> None:
        """Ask for what the map reads.

        Raises
        ------
        ValueError
            If a region is unbounded.
        """
        for key, spec in request.items():
            if spec.roi is not None and spec.roi.unbounded:
                raise ValueError(
                    f"{self.name()} cannot move the unbounded region {spec.roi} of {key}; ask for "
                    "one with a begin and an end along each axis, or without any (roi=None)"
                )
        self.ask(request, self.plan(request), pads=self.on_failure in ("pad", "reflect"))

    def ask(self, request: BatchRequest, warp: Map, pads: bool = False) -> None:
        """Change what is asked for, in place, to what a map reads, or to what there is of that."""
        grown = self._grown(warp, request)
        if warp.is_identity:
            for key, region in grown.items():
                request[key].roi = region
            return
        shown = dict(request.shown or {})
        for key, spec in request.items():
            if spec.roi is None or key in self.provided_items:
                continue
            if isinstance(key, GraphKey):
                spec.roi = self._graph_source(key, warp, spec.roi)
                continue
            whole, region, order = warp, spec.roi, self._order(key)
            if key in grown:
                region = grown[key]
                shown.pop(key, None)  # values are turned here, whatever is shown of them later
            elif key in shown and warp.ndim <= 3:
                after, region, its = shown[key]
                whole, order = Compose([after, warp]), joint_order(its, order) or order
            begin, end = whole.source(region, self._voxel_size(key), order)
            source = Roi(begin, tuple(map(sub, end, begin)))
            spec.roi = source
            if pads:
                there, mirrored = self.spec[key].roi, self.on_failure == "reflect"
                spec.roi = clipped(source, there, self._voxel_size(key), whole.ndim, mirrored)
            if warp.ndim <= 3 and spec.roi == source:
                shown[key] = whole, region, order
            else:
                shown.pop(key, None)  # upstream is not to read again what was cut off
        request.shown = shown

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Resample arrays, move graphs."""
        warp = self.plan(request)
        if request._plans is not None and "fitted" in request._plans:
            request._plans["fitted"].count(self, batch)
        if warp.is_identity:
            if self.edges == "keep":
                return
            warp = still(warp.ndim)  # edges that leave are treated alike, whatever is drawn
        else:
            self._move_arrays(warp, batch, request)
        for graph_key, graph_spec in request.graph_specs.items():
            if graph_spec.roi is not None:
                moved = moved_graph(warp, batch[graph_key], graph_spec.roi, self.edges)
                batch[graph_key], counts = moved
                for event, number in counts.items():
                    batch.profiling_stats.count(type(self).__name__, event, number)

    def _move_arrays(self, warp: Map, batch: Batch, request: BatchRequest) -> None:
        shown = request.shown if warp.ndim <= 3 else None
        for key, spec in request.array_specs.items():
            if spec.roi is not None and key not in self.provided_items:
                partial = shown is not None and key in shown
                batch[key] = self._warped(warp, key, batch[key], spec.roi, partial)

    def _warped(self, warp: Map, key: ArrayKey, array: Array, roi: Roi, partial: bool) -> Array:
        voxel_size, kind = self._voxel_size(key), self.spec.array_specs[key].kind
        if kind is not None:
            return turned(kind, warp, array, roi, voxel_size, self._order(key))
        spec = array.spec.copy()
        here: Any = spec.roi
        spec.roi = roi
        extent = tuple(roi.shape / voxel_size)
        recipe = Recipe.of(array).seen_through(
            warp, here.offset, roi.offset, extent, self._order(key), partial,
            mirror="symmetric" if self.on_failure == "reflect" else None,
            within=self.on_failure not in ("pad", "reflect"),
        )  # fmt: skip
        return Array(recipe, spec, dict(array.attrs))

    def _grown(self, warp: Map, request: BatchRequest) -> dict[ArrayKey, Roi]:
        """What has to be moved of each array whose values are turned."""
        grown: dict[ArrayKey, Roi] = {}
        offered = self.spec.array_specs
        for key, spec in request.array_specs.items():
            kind, dtype = offered[key].kind, offered[key].dtype
            if kind is None or spec.roi is None or key in self.provided_items:
                continue
            if self.on_failure == "reflect":
                raise ValueError(
                    f"{self.name()} mirrors what lies beyond the border, and would mirror {key} "
                    f"without turning its values ({kind}); use another on_failure=, or make it "
                    "downstream"
                )
            # What may be drawn for another batch has to be there as well.
            possible = self.possible(request) if request.planning else ()
            try:
                grown[key] = grown_for(kind, warp, spec.roi, self._voxel_size(key), dtype, possible)
            except ValueError as error:
                raise ValueError(f"{self.name()} cannot turn {key}: {error}") from None
        return grown

    def _voxel_size(self, key: ArrayKey) -> Coordinate:
        voxel_size = self.spec.array_specs[key].voxel_size
        if voxel_size is None:
            raise ValueError(f"{self.name()} cannot move {key}, which has no voxel size")
        return voxel_size

    def _order(self, key: ArrayKey) -> Order:
        return "linear" if self.spec.array_specs[key].interpolatable else self.labels

    def _graph_source(self, key: GraphKey, warp: Map, roi: Roi) -> Roi:
        low, high = warp.reach([float(v) for v in roi.begin], [float(v) for v in roi.end])
        begin = Coordinate(math.floor(v) for v in low)
        end = Coordinate(math.ceil(v) + 1 for v in high)
        source, there = Roi(begin, end - begin), self.spec[key].roi
        if there is None or there.contains(source):
            return source
        if source.intersects(there):
            return source.intersect(there)
        # No point can come from outside: an empty region at a place that is there.
        return Roi(
            (a if b is None else b for a, b in zip(begin, there.begin, strict=True)),
            (0,) * roi.dims,
        )


def check_labels(labels: Literal["nearest", "majority"]) -> Literal["nearest", "majority"]:
    """How labels are resampled, or an error that says how they can be."""
    if labels not in ("nearest", "majority"):
        raise ValueError(f"labels are resampled by 'nearest' or 'majority', got {labels!r}")
    return labels
