"""Arrays into files, whatever their format."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from voxflow.nodes.sinks.attributes import storable_attrs
from voxflow.nodes.sinks.layout import (
    Cells,
    aligned,
    all_axes,
    block_on_grid,
    by_key,
    parse_names,
    shared_axes,
    stride_of,
)
from voxflow.nodes.sinks.places import (
    Output,
    describe,
    forget_job,
    has_job,
    output,
    written_in_parallel,
)
from voxflow.nodes.sinks.sink import Sink
from voxflow.nodes.sinks.target import (
    Piece,
    Target,
    Targets,
    claim,
    existing_target,
    release,
    unbounded,
)
from voxflow.pipeline.data import Array, ArrayKey, Batch, BatchRequest
from voxflow.pipeline.data.kinds import attrs_of_kind
from voxflow.pipeline.engine.notes import note_visit
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.stores import (
    Geometry,
    OutputMismatch,
    create_dataset,
    delete_dataset,
    store_format,
)
from voxflow.stores.compression import parse_compression

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import DTypeLike

    from voxflow.nodes.sinks.layout import Factors, Sizes
    from voxflow.stores import Compression
    from voxflow.stores.place import Format


class DatasetWrite(Sink):
    """Writes every batch that passes to its place in datasets of one store.

    The first batch makes the datasets that are not there, as large as what is provided upstream.
    One that is there is filled further, if voxel size and channels are the same and all that is
    provided lies inside; of what is provided without bounds, the part inside is written. It keeps
    its dtype. Each batch is on its way to the disk before it is passed on.

    Parameters
    ----------
    dataset_names
        The path of the dataset in the store for each array.
    store
        A file, folder or URL of any format that `voxflow.stores.create_dataset` makes; if there is
        nothing yet, the suffix tells which, or what stands before it (``"precomputed://out"``).
    compression_type
        None, "gzip", a level of gzip, or what else the format knows, such as "zstd:3" or
        "blosc:lz4"; see `voxflow.stores.create_dataset`.
    dataset_dtypes
        Another dtype for the output of an array; by default it is that of a dataset which is there,
        else the array's own. Fractions are cut off, values that it cannot hold are an error.
    chunks, shards
        Of a dataset that is made, in voxels along the spatial axes (channels stay together), or
        along all axes; one for all arrays, or by key. By default chunks are such that no two
        blocks of a scan share one. Shards are for zarr format 3.
    zarr_format
        Of a zarr store that is made, 2 or 3; by default 2, or 3 with shards.
    scale
        Multiply values by this when they are written, and round them to the nearest if the output
        has integers: ``dataset_dtypes={PRED: "uint8"}, scale=255``. One for all arrays, or by key.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    ValueError
        If two arrays go to one dataset, or the format has no such compression, or an option speaks
        of an array that is not written; at setup, if another writer writes to the same dataset.
    RuntimeError
        At setup, if an array is provided without bounds, and its dataset is not there.
    OutputMismatch
        At setup or at the first batch, before anything is written: if a dataset is there that
        differs.
    """

    format: ClassVar[Format | None] = None
    codecs: ClassVar[tuple[str, ...] | None] = None
    separator: Literal[".", "/"] | None = None

    def __init__(
        self,
        dataset_names: Mapping[ArrayKey, str],
        store: Any,
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
        *,
        chunks: Sizes = None,
        shards: Sizes = None,
        zarr_format: Literal[2, 3] | None = None,
        scale: Factors = None,
    ) -> None:
        self.dataset_names = parse_names(dataset_names, ArrayKey)
        self.store = store
        self.compression_type = compression_type
        self.dataset_dtypes = {key: np.dtype(t) for key, t in (dataset_dtypes or {}).items()}
        self.chunks = by_key(chunks, self.dataset_names, "chunks")
        self.shards = by_key(shards, self.dataset_names, "shards")
        self.zarr_format = zarr_format
        self.scale = by_key(scale, self.dataset_names, "scale")
        if not all(math.isfinite(factor) and factor for factor in self.scale.values()):
            raise ValueError(f"scale has to be a number other than 0, got {scale!r}")
        self._check_compression()

    def _check_compression(self) -> None:
        if self.codecs is None:
            return
        codec = parse_compression(self.compression_type)
        if codec is not None and codec.name not in self.codecs:
            raise ValueError(
                f"compression_type={self.compression_type!r} is not known to {self.name()}: take "
                f"None, {', '.join(map(repr, self.codecs))}, or a gzip level from 0 to 9"
            )

    @property
    def parallel(self) -> bool:
        """Whether several processes can write to a store of this kind at all."""
        return written_in_parallel(self.store, self.format)

    def parallel_obstacle(
        self, key: ArrayKey, stride: Coordinate, origin: Coordinate
    ) -> str | None:
        """Say why several processes must not write blocks of an array; None: they may.

        Two processes that write to one chunk (or shard) at once lose what one of them writes. To
        be asked when the pipeline is set up, whether or not the dataset is there.

        Parameters
        ----------
        key
            The array.
        stride, origin
            Borders between blocks are at ``origin + k * stride``, world units.

        Returns
        -------
        str or None
            One sentence, which says what to do.
        """
        name = self.dataset_names[key]
        where = f"{describe(self.store)}:{name}"
        if not self.parallel:
            return (
                f"only one process at a time can write to {where}; write Zarr, N5 or precomputed "
                "to a disk or server to let several of them write"
            )
        target = self._output.targets.get(key) or self._existing(name)
        cells = self._planned(key, stride, origin) if target is None else target.cells
        spec = self.spec[key]
        whole = target.roi if target is not None and unbounded(spec) else spec.region
        shared = shared_axes(cells, whole, stride, origin)
        if not shared:
            return None
        return (
            f"blocks would share chunks of {where} along axis {' and '.join(map(str, shared))} "
            f"(blocks every {stride} from {origin}, chunks every {cells.size} from {cells.begin}, "
            "world units); make all regions of a block multiples of the chunks, such as "
            f"{aligned(stride, cells)}, or choose chunks that divide the blocks"
        )

    def _planned(self, key: ArrayKey, stride: Coordinate, origin: Coordinate) -> Cells:
        """The grid of a dataset that is not there yet."""
        spec = self.spec[key]
        sizes = self.shards.get(key) or self.chunks.get(key)
        if sizes is None:
            whole = spec.region
            first = Roi(whole.begin, (origin - whole.begin) % stride)
            first = Roi(whole.begin, [a or b for a, b in zip(first.shape, stride, strict=True)])
            sizes = block_on_grid(first.intersect(whole), whole, spec.grid, stride)
        dims = len(spec.grid)
        return Cells(spec.region.begin, Coordinate(sizes[-dims:]) * spec.grid)

    def outputs(self) -> list[Output]:
        """What is written: store and path of the dataset of each array, and where that is."""
        return [
            output(key, self.store, name, self.format) for key, name in self.dataset_names.items()
        ]

    def remove(self) -> None:
        """Delete the datasets that are written, where they are there; not in a pipeline in use."""
        self._check_format()
        for name in self.dataset_names.values():
            delete_dataset(self.store, name, format=self.format)

    def forget_job(self, record: Path | None = None) -> None:
        """Of datasets that are not there, take back that a scan wrote them: they are made anew.

        Parameters
        ----------
        record
            A folder with notes of that scan, besides those of the datasets themselves.
        """
        for name, written in zip(self.dataset_names.values(), self.outputs(), strict=True):
            noted = [f for f in (written.record, record) if f is not None and has_job(f)]
            if noted and self._existing(name) is None:
                for folder in noted:
                    forget_job(folder)

    def finish(self) -> None:
        """Do what is left to do when all blocks are written; it does no harm to do it again."""

    def setup(self) -> None:
        """Check that there is a place for everything."""
        self._check_placed()
        self._check_format()
        self._output = Targets()
        for key, name in self.dataset_names.items():
            self._claim(name)
            target = self._existing(name)
            if target is not None:
                target.check(self.spec[key], None, self.dataset_dtypes.get(key))
            else:
                self._check_bounded(key)
            self.updates(key, self.spec[key].copy())
        self.enable_autoskip()

    def _claim(self, name: str) -> None:
        claim(self, self.store, name)

    def _existing(self, name: str) -> Target | None:
        return existing_target(self.store, name)

    def _check_placed(self) -> None:
        for key in self.dataset_names:
            if self.spec[key].nonspatial:
                raise RuntimeError(
                    f"{self.name()} cannot write {key}, which has no place; use Snapshot"
                )

    def _check_bounded(self, key: ArrayKey) -> None:
        spec = self.spec[key]
        if unbounded(spec) or spec.voxel_size is None:
            raise RuntimeError(
                f"{self.name()} cannot tell how large the dataset of {key} has to be, because "
                f"its region is {spec.roi}, its voxel size {spec.voxel_size}; put Crop upstream, "
                "give a roi in array_specs, or make the dataset before"
            )

    def _check_format(self) -> None:
        if self.format is None or not isinstance(self.store, str | os.PathLike):
            return
        if os.path.exists(self.store) and store_format(self.store) != self.format:
            kinds = {"hdf5": "an HDF5 file", "zarr": "a directory, as of a Zarr store"}
            found = store_format(self.store)
            there = kinds.get(found, f"of the format {found}")
            raise OutputMismatch(
                f"{self.store} is there already, and is {there}, which {self.name()} does not "
                "write. Remove it, or write to another file."
            )

    def teardown(self) -> None:
        """Close the datasets."""
        release(self)
        output = self.__dict__.pop("_output", None)
        if output is not None:
            output.close(self.format)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all arrays that are written."""
        needed = BatchRequest()
        for key in self.dataset_names:
            if key not in request or request[key].placeholder:
                raise KeyError(
                    f"{self.name()} writes {key}, which is not in the request; ask for it, or "
                    "leave it out of dataset_names"
                )
            needed[key] = request[key]
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Write."""
        rois = request.write_rois or {}
        arrays = {key: _part(batch[key], rois.get(key)) for key in self.dataset_names}
        arrays = {key: array for key, array in arrays.items() if array.view.size}
        output = self._output
        scanned = request.write_rois is not None
        with output.opening:
            if not arrays.keys() <= output.targets.keys():
                if not scanned:  # a scan knows itself whether a job goes on
                    self.forget_job()
                output.targets.update(self._open(arrays, stride_of(request, self.spec)))
        targets = output.targets
        inside = {key: targets[key].inside(array, scanned) for key, array in arrays.items()}
        ready = [
            self._piece(key, targets[key], array)
            for key, array in inside.items()
            if array is not None
        ]
        if self.landing is None:
            output.write(ready)
        else:
            self.landing.begin(ready, output.write, partial(self._note, request))

    def _piece(self, key: ArrayKey, target: Target, array: Array) -> Piece:
        # Who reads what was lent gets a copy, so it is lent only where it is written beside us.
        lent = None if self.landing is None else array.lent()
        voxels = array.data if lent is None else lent
        data = target.cast(voxels, self.scale.get(key))
        shared = lent is None and np.may_share_memory(data, voxels)
        return Piece(target, data, array.spec.region, shared)

    def _note(self, request: BatchRequest, error: Exception) -> None:
        note_visit(error, self._who(), request, self._spec)

    def _open(
        self, arrays: Mapping[ArrayKey, Array], stride: Coordinate | None
    ) -> dict[ArrayKey, Target]:
        """Open what is there, and make the rest; if anything differs, nothing is made."""
        targets: dict[ArrayKey, Target] = {}
        for key, array in arrays.items():
            target = self._existing(self.dataset_names[key])
            if target is not None:
                dtype = self.dataset_dtypes.get(key)
                target.check(self.spec[key], self._lead(key, array), dtype)
                targets[key] = target
        for key, array in arrays.items():
            if key not in targets:
                region, spec = array.spec.region, self.spec[key]
                block = block_on_grid(region, spec.region, spec.grid, stride)
                targets[key] = self._make(key, array, block)
        return targets

    def _make(self, key: ArrayKey, array: Array, block: tuple[int, ...]) -> Target:
        """Make a dataset that is written in blocks of so many voxels."""
        spec, lead = self.spec[key], self._lead(key, array)
        shape = (*lead, *(int(n) for n in spec.region.shape / spec.grid))
        geometry = self._geometry(key, len(lead))
        chunks, shards = (
            all_axes(sizes.get(key), shape, len(spec.grid), name)
            for name, sizes in (("chunks", self.chunks), ("shards", self.shards))
        )
        dataset = create_dataset(
            self.store,
            self.dataset_names[key],
            shape,
            self._dtype(key, array),
            geometry=geometry,
            chunks=chunks,
            shards=shards,
            block=(*(max(1, n) for n in lead), *block),
            compression=self.compression_type,
            attrs=storable_attrs({**attrs_of_kind(spec.kind), **array.attrs}, str(key)),
            format=self.format,
            zarr_format=self.zarr_format,
            separator=self.separator,
        )
        return Target(dataset, geometry)

    def _geometry(self, key: ArrayKey, lead: int) -> Geometry:
        return Geometry(self.spec[key].grid, self.spec[key].region.offset)

    def _lead(self, key: ArrayKey, array: Array) -> tuple[int, ...]:
        return array.shape[: len(array.shape) - len(self.spec[key].grid)]

    def _dtype(self, key: ArrayKey, array: Array) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.dataset_dtypes.get(key, array.dtype)
        return dtype


def _part(array: Array, roi: Roi | None) -> Array:
    """What is to be written of an array; None: all."""
    whole = array.spec.region
    if roi is None or roi == whole:
        return array
    return array.crop(whole.intersect(roi), copy=False)
