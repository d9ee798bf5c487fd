"""Segments of a volume larger than memory, block by block."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.flow.merge_provider import MergeProvider
from voxflow.nodes.scanning.function import scan
from voxflow.nodes.scanning.record import read_manifest
from voxflow.nodes.shape.crop import Crop
from voxflow.nodes.sinks.dataset_write import DatasetWrite
from voxflow.nodes.sinks.places import location, output
from voxflow.nodes.sinks.target import existing_target
from voxflow.nodes.sources.dataset_source import DatasetSource
from voxflow.pipeline.data import ArrayKey, ArraySpec, BatchRequest
from voxflow.pipeline.data.kinds import Affinities
from voxflow.pipeline.engine.describe import describe
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.segmentation.methods import MutexWatershed
from voxflow.segmentation.nodes import (
    BlockGraph,
    Fragments,
    UseSegments,
    graph_path,
    segments_path,
)
from voxflow.segmentation.report import SegmentationReport
from voxflow.segmentation.segment_numbers import SegmentNumbers
from voxflow.segmentation.segments import neighborhood_of
from voxflow.segmentation.volume_graph import Graphs
from voxflow.stores import OutputMismatch, open_dataset, read_geometry
from voxflow.stores.base import parse_choice
from voxflow.stores.disk import disk_errors
from voxflow.stores.whole_arrays import save_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.nodes.scanning.callback import ScanCallback
    from voxflow.nodes.scanning.outputs import Exist
    from voxflow.segmentation.methods import Method
    from voxflow.segmentation.volume_graph import Place
    from voxflow.stores import Compression

__all__ = ["segment_blockwise"]

_AFFINITIES, _MASK = ArrayKey("SEGMENTED_AFFINITIES"), ArrayKey("SEGMENTED_MASK")
_FRAGMENTS, _EDGES, _SEGMENTS = ArrayKey("FRAGMENTS"), ArrayKey("EDGES"), ArrayKey("SEGMENTS")

_COUNTS = ("fragment_count", "edge_count", "segment_count")
_JOINED = "joined.npz"
_BLOCK = 128
_MOST_AFFINITIES = 2**29
"""A block has as many voxels along each axis, unless it would have more affinities than this."""


def segment_blockwise(
    affinities: tuple[Any, str],
    segments: tuple[Any, str],
    method: Method | None = None,
    *,
    mask: tuple[Any, str] | None = None,
    neighborhood: Sequence[Sequence[int]] | None = None,
    region: Roi | None = None,
    block: Sequence[int] | None = None,
    min_size: int = 0,
    num_workers: int = 1,
    exist: Exist = "resume",
    folder: str | Path | None = None,
    compression: Compression = "gzip",
    worker_command: str | None = None,
    progress: ScanCallback | None = None,
) -> SegmentationReport:
    """Segment affinities of a file into a file, block by block.

    In memory are a few blocks, or a part of the graph of all fragments. The result does not depend
    on the number of workers or on what was interrupted, and for `MutexWatershed` and `Components`
    not on the blocks either: it is that of `segment`, ids included. Called once more after an
    interruption, also a kill, it goes on where it was.

    Parameters
    ----------
    affinities
        Store and path of a dataset of any format, with a leading channel axis.
    segments
        Store and path of the dataset to make: uint64. Zarr, N5 or precomputed for several workers.
        Ids count from 1, in the order of the first voxels of segments.
    method
        `MutexWatershed`, `Components` or `Watershed`; None: `MutexWatershed()`.
    mask
        Store and path: 0 where there is no object.
    neighborhood
        The offset of each channel in voxels. None: what the attribute ``affinity_neighborhood`` of
        the dataset says, which voxflow writes.
    region
        A part of the affinities (world units). None: all.
    block
        Shape of a block, in voxels. None: 128 along each axis.
    min_size
        Segments of fewer voxels become 0.
    num_workers
        How many processes work; more than one need ``voxflow[scan]``.
    exist
        What to do where the output is there, or its folder: "resume", "overwrite" or "error".
    folder
        Where fragments and graph are kept; None: beside the output, its name with
        ``.segmentation`` at the end. It can be deleted when all is done; a later call with the same
        arguments then begins anew.
    compression
        Of the output and the fragments.
    worker_command
        How to start a worker elsewhere, as for `voxflow.scan`.
    progress
        Told about the progress of each of the three passes; None: progress bars.

    Returns
    -------
    SegmentationReport
        What was done.

    Raises
    ------
    ValueError
        If the neighbourhood is not known, or does not fit; if a size is out of range.
    OutputMismatch
        If the output, or what is kept of it, is of another job, or is not to be there.
    ScanFailed
        If blocks failed, after all others were done.

    Examples
    --------
    >>> import tempfile
    >>> import voxflow as gp
    >>> from voxflow.stores import Geometry, create_dataset
    >>> store = tempfile.mkdtemp() + "/a.zarr"
    >>> attrs = {"affinity_neighborhood": [[-1]]}
    >>> place = {"geometry": Geometry((4,), (0,)), "attrs": attrs}
    >>> dataset = create_dataset(store, "affinities", (1, 6), np.uint8, **place)
    >>> dataset.write((), np.uint8([[0, 250, 9, 250, 250, 250]]))
    >>> report = segment_blockwise(
    ...     (store, "affinities"), (store, "segments"), block=(4,), progress=gp.ScanCallback()
    ... )
    >>> report.blocks, report.fragments, report.segments
    (2, 3, 2)
    >>> open_dataset(store, "segments").read()
    array([1, 1, 2, 2, 2, 2], dtype=uint64)
    """
    parse_choice("exist", exist, ("resume", "overwrite", "error"))
    job = _Job(
        _source(affinities, neighborhood, mask, region),
        MutexWatershed() if method is None else method,
        segments,
        _folder(segments) if folder is None else Path(folder).absolute(),
        has_mask=mask is not None,
        min_size=min_size,
        compression=compression,
        options={
            "num_workers": num_workers,
            "worker_command": worker_command,
            "progress": progress,
        },
    )
    job.place(affinities, region, block)
    job.settle(exist)
    return job.run("overwrite" if exist == "overwrite" else "resume")


def _source(
    affinities: tuple[Any, str],
    neighborhood: Sequence[Sequence[int]] | None,
    mask: tuple[Any, str] | None,
    region: Roi | None,
) -> Any:
    """A pipeline that offers affinities and mask."""
    if neighborhood is None:
        dataset = open_dataset(*affinities)
        neighborhood = neighborhood_of(dataset.attrs, dataset.uri)
    spec = ArraySpec(kind=Affinities(neighborhood))
    source: Any = DatasetSource(affinities[0], {_AFFINITIES: affinities[1]}, {_AFFINITIES: spec})
    if region is not None:
        source += Crop(_AFFINITIES, region)
    if mask is not None:
        source = (source, DatasetSource(mask[0], {_MASK: mask[1]})) + MergeProvider()
    return source


def _folder(segments: tuple[Any, str]) -> Path:
    """Where what is kept goes: beside the file or store."""
    store, path = segments
    where = location(store, path)
    if where is None:
        raise ValueError(
            f"{store}:{path} lies on no disk of this machine; say where to keep fragments and "
            "graph (folder=)"
        )
    name = path.strip("/").replace("/", ".")
    return Path(f"{Path(store).absolute()}.{name}.segmentation".replace("..", "."))


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@dataclass
class _Job:
    """The steps of one segmentation."""

    source: Any
    method: Method
    target: tuple[Any, str]
    folder: Path
    has_mask: bool
    min_size: int
    compression: Compression
    options: dict[str, Any]
    seconds: dict[str, float] = field(default_factory=dict)

    def place(
        self, affinities: tuple[Any, str], region: Roi | None, block: Sequence[int] | None
    ) -> None:
        """Find out how large blocks are, in world units."""
        dataset = open_dataset(*affinities)
        geometry = read_geometry(dataset)
        self.voxel_size = geometry.voxel_size
        dims = len(self.voxel_size)
        shape = Coordinate(dataset.shape[-dims:])
        if geometry.spatial is not None:
            shape = Coordinate(dataset.shape[axis] for axis in geometry.spatial)
        if region is not None:
            shape = region.shape / self.voxel_size
        self.shape = tuple(int(n) for n in shape)
        if block is None:
            channels = math.prod(dataset.shape) // math.prod(self.shape)
            side = min(_BLOCK, int((_MOST_AFFINITIES / max(1, channels)) ** (1 / dims)))
            block = (side,) * dims if dims == 3 else (2048,) * dims
        if len(block) != dims or min(block) < 1:
            raise ValueError(f"block is {dims} sizes in voxels, 1 or more; got {tuple(block)}")
        self.method.check_block(block, self.shape)
        self.block = Coordinate(min(b, n) for b, n in zip(block, self.shape, strict=True))
        self.block_size = self.block * self.voxel_size

    def settle(self, exist: Exist) -> None:
        """Do what is wanted about what is there."""
        if exist == "error" and existing_target(*self.target) is not None:
            raise OutputMismatch(
                f"{self.target[0]}:{self.target[1]} is there already, and exist='error'. Remove "
                "it, write to another file or name, go on with it (exist='resume') or replace it "
                "(exist='overwrite')"
            )
        if exist != "resume":
            for name in ("fragments.zarr", "edges.zarr", "graph", _JOINED):
                _remove(self.folder / name)
        with disk_errors(str(self.folder), "made"):
            (self.folder / "graph").mkdir(parents=True, exist_ok=True)

    def run(self, exist: Exist) -> SegmentationReport:
        """All steps."""
        blocks = self._timed("fragments", self._make_fragments)
        self._timed("graph", self._make_graph)
        with np.load(self._timed("join", self._join)) as file:
            fragments, edges, segments = (int(file[name]) for name in _COUNTS)
        self._timed("relabel", lambda: self._relabel(exist))
        return SegmentationReport(blocks, fragments, edges, segments, self.seconds, self.folder)

    def _timed(self, name: str, step: Any) -> Any:
        begun = time.monotonic()
        result = step()
        self.seconds[name] = time.monotonic() - begun
        return result

    @property
    def _mask(self) -> ArrayKey | None:
        return _MASK if self.has_mask else None

    @property
    def _fragments(self) -> Path:
        return self.folder / "fragments.zarr"

    def _make_fragments(self) -> int:
        pipeline = (
            self.source
            + Fragments(_AFFINITIES, _FRAGMENTS, self.method, self._mask)
            + DatasetWrite({_FRAGMENTS: "fragments"}, self._fragments, self.compression)
        )
        return self._scan(pipeline, _FRAGMENTS)

    def _make_graph(self) -> int:
        node = BlockGraph(
            _AFFINITIES,
            _FRAGMENTS,
            _EDGES,
            self.method,
            self._mask,
            block=self.block_size,
            folder=self.folder / "graph",
        )
        pipeline = (
            (self.source, DatasetSource(self._fragments, {_FRAGMENTS: "fragments"}))
            + MergeProvider()
            + node
            + DatasetWrite(
                {_EDGES: "edges"}, self.folder / "edges.zarr", chunks=(1,) * len(self.block)
            )
        )
        return self._scan(pipeline, _EDGES)

    def _join(self) -> Path:
        """Write what fragments become, unless it is there; what is known of it."""
        job, path = str(self._began("edges.zarr", "edges")["job"]), self.folder / _JOINED
        if path.exists():
            with np.load(path) as file:
                if str(file["job"]) == job and int(file["min_size"]) == self.min_size:
                    return path
        edges = open_dataset(self.folder / "edges.zarr", "edges")
        counts, fragments = tuple(edges.shape), 0
        joined = self.method.join(Graphs(tuple(self.block), self.shape, self._load, self.folder))
        part = path.with_suffix(".part")
        with disk_errors(str(self.folder), "written"):
            path.unlink(missing_ok=True)  # it does not tell of other segments than its own
            numbers = SegmentNumbers(joined.segments, self.min_size, self.folder)
            for place, names in joined.blocks:
                fragments += len(names)
                number = int(np.ravel_multi_index(place, counts))
                with segments_path(self.folder / "graph", number).open("wb") as file:
                    save_array(file, numbers(names))
            with part.open("wb") as file:
                np.savez(
                    file,
                    job=job,
                    min_size=self.min_size,
                    fragment_count=fragments,
                    edge_count=int(edges.read().sum()),
                    segment_count=len(numbers),
                )
            part.replace(path)
        return path

    def _load(self, place: Place, name: str) -> Any:
        counts = -(-Coordinate(self.shape) // self.block)
        number = int(np.ravel_multi_index(place, tuple(counts)))
        with np.load(graph_path(self.folder / "graph", number)) as file:
            return file[name]

    def _began(self, store: str, path: str) -> dict[str, Any]:
        record = output(_EDGES, self.folder / store, path).record
        manifest = None if record is None else read_manifest(record)
        return {"job": "?"} if manifest is None else manifest

    def _relabel(self, exist: Exist) -> None:
        made_by = {
            "pipeline": describe(self.source),
            "method": repr(self.method),
            "min_size": self.min_size,
        }
        pipeline = (
            DatasetSource(self._fragments, {_FRAGMENTS: "fragments"})
            + UseSegments(
                _FRAGMENTS,
                _SEGMENTS,
                block=self.block_size,
                folder=self.folder / "graph",
                made_by=made_by,
            )
            + DatasetWrite({_SEGMENTS: self.target[1]}, self.target[0], self.compression)
        )
        self._scan(pipeline, _SEGMENTS, exist)

    def _scan(self, pipeline: Any, key: ArrayKey, exist: Exist = "resume") -> int:
        reference = BatchRequest()
        reference[key] = ArraySpec(roi=Roi((0,) * len(self.block), self.block_size))
        return scan(pipeline, reference, exist=exist, **self.options).blocks
