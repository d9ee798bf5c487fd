"""Arrays that are in memory already, or that read themselves."""

from __future__ import annotations

import copy
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from voxflow.nodes.sources.kinds import guess_interpolatable, stated_kind
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.array import off_grid
from voxflow.pipeline.data.deferred import Borrowed, Fresh
from voxflow.pipeline.data.kinds import kind_of_attrs
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi, voxel_slices
from voxflow.stores import open_dataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.stores import MissingChunks, StoredDataset


class ArraySource(BatchProvider):
    """Offers one array from memory, or from anything that is indexed like an array.

    Parameters
    ----------
    key
        The name under which the array is offered.
    array
        A `voxflow.Array`; or an object with `roi`, `voxel_size`, `dtype` that is read by
        ``array[roi]`` (such as those of funlib.persistence); or, together with `spec`, anything
        with `shape`, `dtype` and slicing (numpy, h5py, zarr, dask, tensorstore), whose last axes
        are spatial.
    interpolatable
        Whether values between voxels mean something. None: what the array's spec says, or else
        True for floating point and uint8.
    spec
        Where an array without a spec of its own lies: its `voxel_size`, and its `roi` or nothing,
        which places it at the origin. It wins over what the array says of itself.
    missing_chunks
        What a chunk of an h5py or zarr array means that is not stored: "error", or "fill" with the
        fill value.

    Raises
    ------
    TypeError
        If `key` is no `ArrayKey`, or the array says nothing of its place and there is no `spec`.
    ValueError
        If array and spec do not fit together.

    Examples
    --------
    >>> raw = ArrayKey("RAW")
    >>> source = ArraySource(raw, np.zeros((4, 6)), spec=ArraySpec(voxel_size=(9.8, 2)))
    >>> source.array_spec.roi
    [0:39.2, 0:12] (39.2, 12)
    """

    takes_no_input: ClassVar[bool] = True

    def __init__(
        self,
        key: ArrayKey,
        array: Any,
        interpolatable: bool | None = None,
        *,
        spec: ArraySpec | None = None,
        missing_chunks: MissingChunks = "error",
    ) -> None:
        if not isinstance(key, ArrayKey):
            raise TypeError(f"ArraySource offers an array under an ArrayKey, got {key!r}")
        self.key = key
        self.array = array
        self._reader = _reader(array, spec, missing_chunks)
        self.array_spec = self._reader.spec.copy()
        if interpolatable is not None:
            self.array_spec.interpolatable = interpolatable
        elif self.array_spec.interpolatable is None:
            self.array_spec.interpolatable = guess_interpolatable(self.array_spec.dtype)

    def setup(self) -> None:
        """Offer the array."""
        self.provides(self.key, self.array_spec.copy())

    def provide(self, request: BatchRequest) -> Batch:
        """Read the region that is asked for."""
        batch = Batch()
        if self.key not in request:
            return batch
        spec = self.spec[self.key].copy()
        spec.roi = request[self.key].roi
        batch[self.key] = Array(self._reader.read(spec.roi), spec, self._attrs())
        return batch

    def values_per_voxel(self, key: Any, upstream: Mapping[Any, int]) -> int | None:
        """What the array has, where it says its shape."""
        shape, roi = self._reader.shape, self.array_spec.roi
        if shape is None or roi is None:
            return None
        return prod(shape[: len(shape) - roi.dims])

    @property
    def hands_on_recipes(self) -> bool:
        """Whether the array lies in memory, where regions of it are seen."""
        return self._reader.in_memory

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def __getstate__(self) -> dict[str, Any]:
        # The reader has all that it needs, and opens files by their names: handles do not travel.
        own = isinstance(self.array, Array)
        return {**self.__dict__, "array": self.array if own else None}

    def _attrs(self) -> dict[str, Any]:
        return copy.deepcopy(self.array.attrs) if isinstance(self.array, Array) else {}


class _Reader(Protocol):
    """Gives the voxels of regions: new arrays, or what lies in memory."""

    spec: ArraySpec

    @property
    def in_memory(self) -> bool: ...

    @property
    def shape(self) -> tuple[int, ...] | None: ...

    def read(self, roi: Roi | None) -> Borrowed | Fresh: ...


def _reader(array: Any, spec: ArraySpec | None, missing_chunks: MissingChunks) -> _Reader:
    if isinstance(array, Array):
        return _InMemory(array if spec is None else Array(array.data, spec, array.attrs))
    if spec is not None:
        return _ByVoxels(open_dataset(array, missing_chunks=missing_chunks), spec)
    if hasattr(array, "roi") and hasattr(array, "voxel_size"):
        return _ByRegions(array)
    raise TypeError(
        f"a {type(array).__name__} does not say where it lies; give "
        "spec=ArraySpec(voxel_size=...), or pass Array(data, ArraySpec(roi, voxel_size))"
    )


class _InMemory:
    """An array of our own."""

    in_memory = True

    def __init__(self, array: Array) -> None:
        self._array = array
        self.shape = array.shape
        self.spec = array.spec.copy()
        self.spec.dtype = array.data.dtype
        if self.spec.kind is None:
            self.spec.kind = kind_of_attrs(array.attrs)

    def read(self, roi: Roi | None) -> Borrowed:
        part = self._array if roi is None else self._array.crop(roi, copy=False)
        return Borrowed(part.view)


class _ByRegions:
    """An array that reads itself by regions of the world."""

    in_memory = False

    def __init__(self, array: Any) -> None:
        self._array = array
        shape = getattr(array, "shape", None)
        self.shape = None if shape is None or len(shape) < len(array.roi.shape) else tuple(shape)
        self.spec = ArraySpec(array.roi, array.voxel_size, dtype=np.dtype(array.dtype))
        _check_grid(self.spec)

    def read(self, roi: Roi | None) -> Fresh:
        part = self._array[roi]
        return Fresh(np.array(part.to_ndarray() if hasattr(part, "to_ndarray") else part))


class _ByVoxels:
    """An array that is indexed by voxels."""

    def __init__(self, dataset: StoredDataset, spec: ArraySpec) -> None:
        self._dataset = dataset
        self.shape = dataset.shape
        self.spec = spec.copy()
        if spec.dtype is not None and spec.dtype != dataset.dtype:
            raise ValueError(
                f"the spec says {spec.dtype}, the array is {dataset.dtype}; cast it downstream "
                "with AsType"
            )
        self.spec.dtype = dataset.dtype
        if spec.kind is None:
            self.spec.kind = stated_kind(dataset)
        if not spec.nonspatial:
            self.spec.roi = _placed(dataset.shape, spec)
            _check_grid(self.spec)

    @property
    def in_memory(self) -> bool:
        return self._dataset.look((slice(0, 0),) * len(self._dataset.shape)) is not None

    def read(self, roi: Roi | None) -> Borrowed | Fresh:
        region: tuple[slice, ...] = ()
        if roi is not None:
            own = voxel_slices(roi, self.spec.region.offset, self.spec.grid)
            region = (*(slice(0, n) for n in self._dataset.shape[: -len(own)]), *own)
        seen = self._dataset.look(region)
        return Fresh(self._dataset.read(region)) if seen is None else Borrowed(seen)


def _placed(shape: tuple[int, ...], spec: ArraySpec) -> Roi:
    """The region of an array-like; where it is given, it has to be the array's."""
    voxel_size = spec.voxel_size
    if voxel_size is None:
        raise ValueError("the spec of a spatial array needs a voxel_size; a nonspatial one says so")
    dims = len(voxel_size)
    spatial = Coordinate(shape[-dims:])
    if len(spatial) < dims:
        raise ValueError(f"an array of shape {shape} has fewer axes than voxels of {voxel_size}")
    roi = spec.roi
    if roi is None:
        return Roi((0,) * dims, spatial * voxel_size)
    if roi.dims != dims or roi.unbounded or spatial * voxel_size != roi.shape:
        raise ValueError(
            f"an array of shape {shape} does not fill {roi} with voxels of {voxel_size}: it "
            f"covers {spatial * voxel_size} (world units)"
        )
    return roi


def _check_grid(spec: ArraySpec) -> None:
    if any(o % v for o, v in zip(spec.region.offset, spec.grid, strict=True)):
        raise ValueError(off_grid(spec.region, spec.grid))
