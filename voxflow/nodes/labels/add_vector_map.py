"""Vectors from points to their partners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from voxflow.nodes.labels.masks import labels_in
from voxflow.ops.rasterize import Ball, voxels_of
from voxflow.ops.vectors import Partners, draw_vectors
from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest, GraphSpec
from voxflow.pipeline.data.graph_ids import as_ids, rows_of
from voxflow.pipeline.data.kinds import Vectors
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voxflow.pipeline.data import ArrayKey, Graph, GraphKey

Drawn = np.ndarray[Any, Any]


class AddVectorMap(BatchFilter):
    """Adds vectors, around points, that lead to their partners: from synapses to synapses, say.

    Each source point has the attribute `partner_ids`, a list of ids of target points. Voxels whose
    centres are no further than the radius from that of the point's voxel get the vector from their
    lower corner to the partner, in world units; others 0. A partner that is not found, because it
    lies beyond the radius and the padding around what is asked for, counts for nothing. Nodes that
    mirror belong upstream: mirrored, a lower corner is an upper one, and vectors off by a voxel.

    Parameters
    ----------
    src_and_trg_points
        The source and the target points for each array to make, float32, shape (dims, \\*spatial).
    voxel_sizes
        The voxel size of each array.
    radius_phys
        World units.
    partner_criterion
        Where a point has several partners: "min_distance" takes the nearest. "all" gives each its
        part of the voxels, the nearest of what is left, the farthest partner first.
    stayinside_array_keys
        A mask for each array: vectors are drawn only where it has the label that it has at the
        point. None: everywhere; so it is for arrays that are not in it.
    pad_for_partners
        How far around partners are looked for, world units. Arrays are offered so much inside of
        the source points.

    Raises
    ------
    ValueError
        If the criterion is not known, the radius is not above zero, or an array has no voxel size.
        At setup: if a mask has other voxels than its array, or the padding other dimensions.

    Examples
    --------
    >>> import voxflow as gp
    >>> pre, post, vectors = gp.GraphKey("PRE"), gp.GraphKey("POST"), gp.ArrayKey("VECTORS")
    >>> spec = gp.GraphSpec(gp.Roi((0,), (16,)))
    >>> source = gp.Graph([gp.Node(1, (5,), attrs={"partner_ids": [7]})], [], spec)
    >>> target = gp.Graph([gp.Node(7, (15,))], [], spec)
    >>> pipeline = (
    ...     (gp.GPGraphSource(pre, source), gp.GPGraphSource(post, target))
    ...     + gp.MergeProvider()
    ...     + AddVectorMap({vectors: (pre, post)}, {vectors: (2,)}, 2, "min_distance")
    ... )
    >>> with gp.build(pipeline):
    ...     pipeline.request_batch(gp.BatchRequest({vectors: spec.roi}))[vectors].data
    array([[ 0., 13., 11.,  9.,  0.,  0.,  0.,  0.]], dtype=float32)
    """

    def __init__(
        self,
        src_and_trg_points: Mapping[ArrayKey, tuple[GraphKey, GraphKey]],
        voxel_sizes: Mapping[ArrayKey, Iterable[Any]],
        radius_phys: float,
        partner_criterion: Literal["min_distance", "all"],
        stayinside_array_keys: Mapping[ArrayKey, ArrayKey] | None = None,
        pad_for_partners: Iterable[Any] = (0, 0, 0),
    ) -> None:
        if partner_criterion not in ("min_distance", "all"):
            raise ValueError(
                f"partner_criterion is 'min_distance' or 'all', got {partner_criterion!r}"
            )
        if not (radius_phys > 0 and np.isfinite(radius_phys)):
            raise ValueError(f"radius_phys is above zero, in world units, got {radius_phys}")
        for key in src_and_trg_points:
            if key not in voxel_sizes:
                raise ValueError(f"voxel_sizes needs an entry for {key}")
        self.src_and_trg_points = dict(src_and_trg_points)
        self.voxel_sizes = {key: Coordinate(size) for key, size in voxel_sizes.items()}
        self.radius_phys = radius_phys
        self.partner_criterion = partner_criterion
        self.stayinside_array_keys = dict(stayinside_array_keys or {})
        self.pad_for_partners = Coordinate(pad_for_partners)

    def setup(self) -> None:
        """Offer vectors where the source points are, without the padding."""
        self.enable_autoskip()
        self._radius = {
            key: [self.radius_phys / float(v) for v in self.voxel_sizes[key]]
            for key in self.src_and_trg_points
        }
        for key, (source, _) in self.src_and_trg_points.items():
            size, pad, roi = self.voxel_sizes[key], self._pad(key), self.spec[source].roi
            if roi is not None:
                roi = roi.grow(-pad, -pad).snap_to_grid(size, "shrink")
            mask = self.stayinside_array_keys.get(key)
            if mask is not None and self.spec[mask].voxel_size != size:
                raise ValueError(
                    f"{self.name()} needs a mask for each voxel of {key}, which are of {size}, "
                    f"but those of {mask} are of {self.spec[mask].voxel_size}"
                )
            spec = ArraySpec(roi, size, interpolatable=False, dtype=np.float32, kind=Vectors())
            self.provides(key, spec)

    def _pad(self, key: ArrayKey) -> Coordinate:
        dims, pad = len(self.voxel_sizes[key]), self.pad_for_partners
        if not any(pad):
            return Coordinate((0,) * dims)
        if len(pad) != dims:
            raise ValueError(
                f"{self.name()}: pad_for_partners {pad} has {len(pad)} dimensions, {key} has {dims}"
            )
        return pad

    def _around(self, key: ArrayKey, roi: Roi) -> Roi:
        """What points are drawn from into a region."""
        context = Coordinate(Ball.of(self._radius[key]).reach) * self.voxel_sizes[key]
        return roi.grow(context, context)

    def _canvas(self, key: ArrayKey, roi: Roi) -> Roi:
        """What is drawn for a region: where balls are shared out, all of each."""
        around = self._around(key, roi)
        return self._around(key, around) if self.partner_criterion == "all" else around

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need source points and mask around what is asked for, and targets further around."""
        needed = BatchRequest()
        for key in self._made(request):
            around, pad = self._around(key, request[key].region), self._pad(key)
            source, target = self.src_and_trg_points[key]
            wanted: list[tuple[Any, Roi]] = [(source, around), (target, around.grow(pad, pad))]
            if key in self.stayinside_array_keys:
                canvas = self._canvas(key, request[key].region)
                wanted.append((self.stayinside_array_keys[key], canvas))
            for needs, roi in wanted:
                there = self.spec[needs].roi
                known = roi if there is None else roi.intersect(there)
                if known.empty:
                    continue
                spec = GraphSpec(roi=known) if needs in (source, target) else ArraySpec(roi=known)
                if needs in needed:
                    needed[needs].update_with(spec)
                else:
                    needed[needs] = spec
        return needed

    def _made(self, request: BatchRequest) -> list[ArrayKey]:
        return [key for key in self.src_and_trg_points if key in request]

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Draw."""
        made = Batch()
        for key in self._made(request):
            spec = self.spec[key].copy()
            spec.roi = self._canvas(key, request[key].region)
            shape = tuple(int(n) for n in spec.region.shape / spec.grid)
            data = np.zeros((len(shape), *shape), np.float32)
            source, target = self.src_and_trg_points[key]
            if source in batch and target in batch:
                self._draw(data, key, spec, batch)
            made[key] = Array(data, spec).crop(request[key].region)
        return made

    def _draw(
        self, out: np.ndarray[Any, Any], key: ArrayKey, spec: ArraySpec, batch: Batch
    ) -> None:
        source, target = (batch[points] for points in self.src_and_trg_points[key])
        origin = [int(o) for o in spec.region.offset / spec.grid]
        places = source.locations.astype(np.float64)
        middles = voxels_of(source.locations, spec.grid) - origin
        held = ((middles >= 0) & (middles < out.shape[1:])).all(axis=1)
        partners = _partners(source, target)
        if self.partner_criterion == "all":
            partners = partners.farthest_first(places)
        else:
            partners = partners.nearest(places)
        # Points outside have no place in the array; they lose their partners instead.
        counts = np.diff(partners.starts)
        targets = partners.targets[np.repeat(held, counts)]
        starts = np.concatenate([[0], np.cumsum(counts[held])]).astype(np.int64)
        mask = self.stayinside_array_keys.get(key)
        draw_vectors(
            out,
            middles[held],
            Partners(targets, starts),
            self._radius[key],
            [float(o) for o in spec.region.offset],
            [float(v) for v in spec.grid],
            None if mask is None else labels_in(batch, mask, spec.region, out.shape[1:]),
        )


def _partners(source: Graph, target: Graph) -> Partners:
    """The partners of each source point that are there, in the order of its list."""
    if "partner_ids" not in source.node_attributes:
        none = np.zeros(source.num_vertices() + 1, np.int64)
        return Partners(np.empty((0, source.locations.shape[1])), none)
    lists = [[] if ids is None else list(ids) for ids in source.node_values("partner_ids", None)]
    counts = np.array([len(ids) for ids in lists], np.int64)
    rows = rows_of(target.ids, as_ids(partner for ids in lists for partner in ids))
    owner = np.repeat(np.arange(len(lists)), counts)[rows >= 0]
    starts = np.searchsorted(owner, np.arange(len(lists) + 1)).astype(np.int64)
    return Partners(target.locations[rows[rows >= 0]].astype(np.float64), starts)
