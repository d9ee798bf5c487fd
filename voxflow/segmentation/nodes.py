"""Nodes that segment: a batch by itself, or the blocks of a volume, pass by pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from voxflow.pipeline.data import Array, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.kinds import Affinities
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi, voxel_slices
from voxflow.segmentation.block import Block, whole_block
from voxflow.segmentation.lookup import Lookup
from voxflow.segmentation.methods import MutexWatershed
from voxflow.segmentation.segments import segment_block

if TYPE_CHECKING:
    import numpy.typing as npt

    from voxflow.pipeline.data import ArrayKey
    from voxflow.segmentation.methods import Method

__all__ = ["BlockGraph", "Fragments", "Segment", "UseSegments", "graph_path", "segments_path"]


class _OfAffinities(BatchFilter):
    """What nodes have in common that look at affinities, and maybe at a mask."""

    affinities: ArrayKey
    mask: ArrayKey | None
    method: Method

    def check(self) -> ArraySpec:
        """The spec of labels beside the affinities."""
        spec = self.spec[self.affinities].copy()
        if not isinstance(spec.kind, Affinities):
            raise ValueError(
                f"{self.name()}: {self.affinities} does not say which voxels its channels compare; "
                "where it comes from, give kind=Affinities(offsets) in the spec"
            )
        self._neighborhood = np.array(spec.kind.offsets, np.int64)
        if len(self._neighborhood[0]) != len(spec.grid):
            raise ValueError(
                f"{self.name()}: the offsets of {self.affinities} have "
                f"{len(self._neighborhood[0])} entries, its voxels are of {spec.grid}"
            )
        if self.mask is not None:
            self._check_mask(self.mask, spec)
        spec.kind, spec.dtype, spec.interpolatable = None, np.dtype(np.uint64), False
        return spec

    def _check_mask(self, key: ArrayKey, spec: ArraySpec) -> None:
        mask = self.spec[key]
        if mask.voxel_size != spec.voxel_size:
            raise ValueError(
                f"{self.name()} needs a mask for each voxel of {self.affinities}, which are of "
                f"{spec.voxel_size}, but those of {key} are of {mask.voxel_size}"
            )
        if mask.roi is not None and spec.roi is not None and not mask.roi.contains(spec.roi):
            raise ValueError(
                f"{self.name()}: the mask {key} covers {mask.roi}, not all of the "
                f"affinities, which are {spec.roi} (world units)"
            )

    def around(self, own: Roi) -> Roi:
        """What has to be seen of affinities to segment a region."""
        spec = self.spec[self.affinities]
        reach = Coordinate(self.method.reach(self._neighborhood).tolist()) * spec.grid
        return own.grow(reach, reach).intersect(spec.region)

    def needs(self, around: Roi) -> BatchRequest:
        """Affinities and mask."""
        needed = BatchRequest()
        for key in (self.affinities, self.mask):
            if key is not None:
                needed[key] = ArraySpec(roi=around)
        return needed

    def block(self, batch: Batch, own: Roi) -> Block:
        """The block of a region of the world."""
        around = self.around(own)
        spec = self.spec[self.affinities]
        region = (around - spec.region.offset) / spec.grid
        inside = voxel_slices(own, around.offset, spec.grid)
        whole = spec.region.shape / spec.grid
        data = batch[self.affinities].crop(around, copy=False).view
        alive = np.ones(data.shape[1:], bool)
        if self.mask is not None:
            alive = batch[self.mask].crop(around, copy=False).view != 0
        return Block(
            data,
            self._neighborhood,
            alive,
            tuple(inside),
            tuple(int(n) for n in region.begin),
            tuple(int(n) for n in whole),
        ).with_voxel_size(spec.grid)


class Segment(_OfAffinities):
    """Segments each batch by itself.

    What lies outside of the batch is not looked at, and ids hold for one batch: to segment a volume
    block by block, use `segment_blockwise`.

    Parameters
    ----------
    affinities
        The array of affinities, with a leading channel axis, and a spec that says
        ``kind=Affinities(offsets)``, as that of `AddAffinities` or of a file of voxflow does.
    segments
        The array to make: uint64, ids from 1 in the order of the first voxels.
    method
        `MutexWatershed`, `Components` or `Watershed`; None: `MutexWatershed()`.
    mask
        Where it is 0, there is no object.
    min_size
        Segments of fewer voxels become 0.

    Raises
    ------
    ValueError
        At setup: if the affinities do not say which voxels they compare, or the mask has other
        voxels, or does not cover them.

    Examples
    --------
    >>> import voxflow as gp
    >>> affinities, segments = gp.ArrayKey("AFFINITIES"), gp.ArrayKey("SEGMENTS")
    >>> spec = gp.ArraySpec(voxel_size=(4,), kind=gp.Affinities([[-1]]))
    >>> line = gp.ArraySource(affinities, np.float32([[0, 0.9, 0.1, 0.8]]), spec=spec)
    >>> with gp.build(line + Segment(affinities, segments)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({segments: gp.Roi((0,), (16,))}))[segments].data
    array([1, 1, 2, 2], dtype=uint64)
    """

    def __init__(
        self,
        affinities: ArrayKey,
        segments: ArrayKey,
        method: Method | None = None,
        *,
        mask: ArrayKey | None = None,
        min_size: int = 0,
    ) -> None:
        self.affinities, self.segments, self.mask = affinities, segments, mask
        self.method = MutexWatershed() if method is None else method
        self.min_size = min_size

    def setup(self) -> None:
        """Offer segments where there are affinities."""
        self.enable_autoskip()
        self.provides(self.segments, self.check())

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need affinities where segments are asked for."""
        return self.needs(request[self.segments].region)

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Segment."""
        roi = request[self.segments].region
        data = batch[self.affinities].crop(roi, copy=False).view
        mask = None if self.mask is None else batch[self.mask].crop(roi, copy=False).view
        spec = self.spec[self.segments].copy()
        spec.roi = roi
        block = whole_block(data, self._neighborhood, mask).with_voxel_size(spec.grid)
        made = Batch()
        made[self.segments] = Array(segment_block(self.method, block, self.min_size), spec)
        return made


class Fragments(_OfAffinities):
    """Makes the fragments of a block of a volume: the first pass."""

    def __init__(
        self, affinities: ArrayKey, fragments: ArrayKey, method: Method, mask: ArrayKey | None
    ) -> None:
        self.affinities, self.fragments, self.mask = affinities, fragments, mask
        self.method = method

    def setup(self) -> None:
        """Offer fragments where there are affinities."""
        self.provides(self.fragments, self.check())

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need affinities around the block."""
        return self.needs(self.around(own_part(request, self.fragments)))

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Make fragments of the block's own part; the rest stays 0."""
        own = own_part(request, self.fragments)
        found = self.method.fragments(self.block(batch, own))
        made = Batch()
        made[self.fragments] = padded(
            found, own, request[self.fragments].region, self.spec[self.fragments]
        )
        return made


def own_part(request: BatchRequest, key: ArrayKey) -> Roi:
    """What belongs to a block: one at the end of the volume overlaps the one before."""
    return (request.write_rois or {}).get(key, request[key].region)


def padded(labels: npt.NDArray[np.uint64], own: Roi, roi: Roi, spec: ArraySpec) -> Array:
    """Labels of a block's own part as an array of a region; the rest is 0."""
    spec = spec.copy()
    spec.roi = roi
    data = np.zeros(tuple(int(n) for n in roi.shape / spec.grid), np.uint64)
    data[voxel_slices(own, roi.offset, spec.grid)] = labels
    return Array(data, spec)


def block_number(begin: Coordinate, whole: Coordinate, block: Coordinate) -> int:
    """The number of the block that begins there, from the begin of the volume (world units)."""
    place = tuple(int(n) for n in begin // block)
    return int(np.ravel_multi_index(place, tuple(int(n) for n in -(-whole // block))))


def graph_path(folder: Path, number: int) -> Path:
    """The file of the graph of a block."""
    return folder / f"{number}.npz"


class BlockGraph(_OfAffinities):
    """Writes the edges between the fragments of a block, and to those around: the second pass.

    What it makes is an array with one voxel for each block: how many edges there are. The edges
    themselves go into a file for each block, which is there whole or not at all, and is the same
    whoever writes it, so that blocks can be made again, and by several processes at once.
    """

    def __init__(
        self,
        affinities: ArrayKey,
        fragments: ArrayKey,
        edges: ArrayKey,
        method: Method,
        mask: ArrayKey | None,
        *,
        block: Coordinate,
        folder: Path,
    ) -> None:
        self.affinities, self.fragments, self.mask = affinities, fragments, mask
        self.edges, self.method, self.block_size, self.folder = edges, method, block, folder

    def setup(self) -> None:
        """Offer a voxel for each block."""
        spec = self.check()
        whole = spec.region
        # From 0, whose voxels are blocks, wherever the volume begins.
        counts = -(-whole.shape // self.block_size)
        spec.roi = Roi((0,) * whole.dims, counts * self.block_size)
        spec.voxel_size = self.block_size
        self.provides(self.edges, spec)

    def _own(self, request: BatchRequest) -> Roi:
        whole = self.spec[self.affinities].region
        return (request[self.edges].region + whole.begin).intersect(whole)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need affinities and fragments around the block."""
        around = self.around(self._own(request))
        needed = self.needs(around)
        needed[self.fragments] = ArraySpec(roi=around)
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Find the edges, and write them."""
        own = self._own(request)
        fragments = batch[self.fragments].crop(self.around(own), copy=False).view
        graph = self.method.graph(self.block(batch, own), fragments)
        spec = self.spec[self.edges].copy()
        spec.roi = request[self.edges].region
        begin, whole = spec.region.begin, self.spec[self.affinities].region.shape
        graph.save(graph_path(self.folder, block_number(begin, whole, self.block_size)))
        made = Batch()
        made[self.edges] = Array(np.full((1,) * len(begin), len(graph.ends), np.uint64), spec)
        return made


def segments_path(folder: Path, number: int) -> Path:
    """The file of the segments of the fragments of a block."""
    return folder / f"{number}.segments.npy"


class UseSegments(BatchFilter):
    """Replaces the ids of fragments by those of segments, as files say: the last pass.

    Parameters
    ----------
    fragments, segments
        The array to read, and the one to make.
    block
        The size of a block (world units).
    folder
        Where there are the graphs of blocks, and the segments of their fragments.
    made_by
        What the segments depend on: a scan whose output was made by something else is refused.
    """

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset({"folder"})

    def __init__(
        self,
        fragments: ArrayKey,
        segments: ArrayKey,
        *,
        block: Coordinate,
        folder: Path,
        made_by: dict[str, Any],
    ) -> None:
        self.fragments, self.segments = fragments, segments
        self.block_size, self.folder, self.made_by = block, folder, made_by

    def setup(self) -> None:
        """Offer segments where there are fragments."""
        self.provides(self.segments, self.spec[self.fragments].copy())

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need the fragments."""
        needed = BatchRequest()
        needed[self.fragments] = ArraySpec(roi=own_part(request, self.segments))
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Replace the fragments of the block's own part; the rest stays 0."""
        own = own_part(request, self.segments)
        array = batch[self.fragments].crop(own, copy=False)
        made = Batch()
        made[self.segments] = padded(
            self._lookup(own)(array.view), own, request[self.segments].region, array.spec
        )
        return made

    def _lookup(self, own: Roi) -> Lookup:
        """Which segment each fragment of a block belongs to."""
        whole = self.spec[self.fragments].region
        number = block_number(own.begin - whole.begin, whole.shape, self.block_size)
        with np.load(graph_path(self.folder, number)) as graph:
            return Lookup(graph["fragments"], np.load(segments_path(self.folder, number)))
