"""Arrays from files, whatever their format."""

from __future__ import annotations

import logging
import os
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from voxflow.nodes.sources.kinds import guess_interpolatable, stated_kind
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.data.array import is_off_grid, off_grid
from voxflow.pipeline.data.deferred import Borrowed, Fresh
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi, voxel_slices
from voxflow.stores import MetadataConflict, MetadataMissing, open_dataset, read_geometry
from voxflow.stores.cache import parse_cache, with_cache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxflow.stores import MissingChunks, StoredDataset
    from voxflow.stores.cache import Cache

logger = logging.getLogger(__name__)


class DatasetSource(BatchProvider):
    """Offers datasets of one store as arrays.

    Voxel size, offset and axes are read from the file (see `voxflow.stores.read_geometry`). Nothing
    in it is changed, it may be read-only. It is opened at setup, and anew in every worker.

    Parameters
    ----------
    store
        A file, folder or URL of any format, or what else `voxflow.stores.open_dataset` takes.
    datasets
        The path of the dataset in the store for each array.
    array_specs
        What wins over the file: whatever of `voxel_size`, `roi`, `interpolatable` and `kind` is
        given. The offset of a `roi` is where the first voxel of the dataset lies. A `dtype` has to
        be that of the file.
    channels_first
        Whether channel axes come before the spatial ones in the file. Arrays always have them
        first. Axes that the file names win over this.
    level
        Take this level of the pyramids that the paths name, counted from the finest, 0.
    voxel_size
        Take the level of this voxel size.
    missing_chunks
        What a chunk means that is not in the file: "error", or "fill" with the fill value.
    default_voxel_size
        What to do where the file states no voxel size: "error", or "ones" for one world unit along
        each axis of the dataset (of the `roi`, if one is given).
    cache
        How much is kept in memory, which all workers share. None: decoded chunks, within a budget
        for all sources together (see `voxflow.stores.set_cache_size`). A number: decoded chunks
        of up to so many bytes; 0: nothing. "ram": everything, read at setup.

    Raises
    ------
    TypeError
        If a key is no `ArrayKey`.
    StoreError
        At setup, if a file or dataset is not there, or does not say where it lies.
    ValueError
        At setup, if specs do not fit the file, or a dataset is empty. (With `roi` and `voxel_size`
        in `array_specs` an empty one is read as zeros, with a warning.)
    """

    takes_no_input: ClassVar[bool] = True

    changes_no_result: ClassVar[frozenset[str] | bool] = frozenset({"cache"})

    def __init__(
        self,
        store: Any,
        datasets: Mapping[ArrayKey, str],
        array_specs: Mapping[ArrayKey, ArraySpec] | None = None,
        channels_first: bool = True,
        *,
        level: int | None = None,
        voxel_size: Sequence[Any] | None = None,
        missing_chunks: MissingChunks = "error",
        default_voxel_size: Literal["error", "ones"] = "error",
        cache: Cache = None,
    ) -> None:
        for key in datasets:
            if not isinstance(key, ArrayKey):
                raise TypeError(f"datasets maps ArrayKeys to names in the file, got {key!r}")
        self.store = store
        self.datasets = dict(datasets)
        self.array_specs = dict(array_specs or {})
        self.channels_first = channels_first
        self.level = level
        self.voxel_size = voxel_size
        self.missing_chunks: MissingChunks = missing_chunks
        self.default_voxel_size: Literal["error", "ones"] = default_voxel_size
        self.cache: Cache = parse_cache(cache)

    def name(self) -> str:
        """The class and the file."""
        is_path = isinstance(self.store, str | os.PathLike)
        where = os.fspath(self.store) if is_path else type(self.store).__name__
        return f"{type(self).__name__}[{where}]"

    def setup(self) -> None:
        """Open the datasets and say where they lie."""
        self._opened: dict[ArrayKey, _Opened] = {}
        for key, path in self.datasets.items():
            dataset = self._dataset(path)
            if 0 in dataset.shape and not self.array_specs.get(key, ArraySpec()).nonspatial:
                dataset = self._zeros(key, dataset)
            opened = self._open(key, with_cache(dataset, self.cache))
            self._opened[key] = opened
            self.provides(key, opened.spec.copy())

    def _dataset(self, path: str) -> StoredDataset:
        return open_dataset(
            self.store,
            path,
            level=self.level,
            voxel_size=self.voxel_size,
            missing_chunks=self.missing_chunks,
        )

    def teardown(self) -> None:
        """Let go of the datasets."""
        self.__dict__.pop("_opened", None)

    def provide(self, request: BatchRequest) -> Batch:
        """Read what is asked for."""
        batch = Batch()
        for key, asked in request.array_specs.items():
            spec = self.spec[key].copy()
            spec.roi = asked.roi
            batch[key] = Array(self._opened[key].read(spec.roi), spec)
        if request.following is not None:
            self._read_ahead(request, request.following)
        return batch

    def _read_ahead(self, request: BatchRequest, way: Coordinate) -> None:
        for key, asked in request.array_specs.items():
            if asked.roi is not None and asked.roi.dims == len(way):
                self._opened[key].read_ahead(asked.roi, way)

    def values_per_voxel(self, key: Any, upstream: Mapping[Any, int]) -> int | None:
        """What the dataset has."""
        opened: _Opened = self._opened[key]
        return opened.values

    def working_bytes(self, request: Any, given: Any, made: Any) -> int:
        """Nothing besides."""
        return 0

    def kept_bytes(self, request: BatchRequest) -> int:
        """The chunks that are touched, within the budget."""
        return sum(
            self._opened[key].dataset.kept_bytes(self._opened[key].where(asked.roi))
            for key, asked in request.array_specs.items()
        )

    def decoded_bytes(self, request: BatchRequest) -> int:
        """All of the chunks that are touched; what lies in memory is not decoded."""
        return sum(
            self._opened[key].dataset.decoded_bytes(self._opened[key].where(asked.roi))
            for key, asked in request.array_specs.items()
            if not self._opened[key].in_memory
        )

    @property
    def hands_on_recipes(self) -> bool:
        """Whether all that is offered lies in memory."""
        return all(opened.in_memory for opened in self._opened.values())

    @property
    def prefetches(self) -> bool:
        """Whether a dataset is slow because it is waited for: for a network, for a disk."""
        return any(opened.dataset.waits for opened in self.__dict__.get("_opened", {}).values())

    def prefetch(self, request: BatchRequest) -> None:
        """Begin to fetch the chunks of what will be asked for."""
        for key, asked in request.array_specs.items():
            opened = self._opened[key]
            opened.dataset.prefetch(opened.where(asked.roi))

    def _open(self, key: ArrayKey, dataset: StoredDataset) -> _Opened:
        given = self.array_specs.get(key, ArraySpec())
        if given.dtype is not None and given.dtype != dataset.dtype:
            raise ValueError(
                f"{self.name()}: array_specs say that {key} is {given.dtype}, but {dataset.uri} is "
                f"{dataset.dtype}; cast it downstream with AsType"
            )
        axes = range(len(dataset.shape))
        spec, spatial = given.copy(), list[int]()
        if not given.nonspatial:
            spec, spatial = self._placed(key, dataset, given)
        spec.dtype = dataset.dtype
        spec.interpolatable = given.interpolatable
        if spec.interpolatable is None:
            spec.interpolatable = guess_interpolatable(dataset.dtype)
        spec.kind = stated_kind(dataset) if given.kind is None else given.kind
        return _Opened(dataset, spec, [a for a in axes if a not in spatial], spatial)

    def _zeros(self, key: ArrayKey, empty: StoredDataset) -> StoredDataset:
        """What stands for a dataset that was left empty: zeros in the region that is given."""
        given = self.array_specs.get(key, ArraySpec())
        if given.roi is None or given.voxel_size is None:
            raise ValueError(
                f"{self.name()}: {empty.uri} is empty, its shape is {empty.shape}. To read it as "
                f"zeros, say where: array_specs={{{key}: ArraySpec(roi, voxel_size)}}"
            )
        logger.warning(
            "%s: %s is empty, and is read as zeros in %s", self.name(), empty.uri, given.roi
        )
        shape = tuple(int(n) for n in given.roi.shape / given.voxel_size)
        # Nothing but a single zero is kept.
        return open_dataset(np.broadcast_to(np.zeros((), empty.dtype), shape), empty.uri)

    def _placed(
        self, key: ArrayKey, dataset: StoredDataset, given: ArraySpec
    ) -> tuple[ArraySpec, list[int]]:
        try:
            geometry = read_geometry(
                dataset,
                voxel_size=given.voxel_size,
                offset=None if given.roi is None else given.roi.offset,
                default=self.default_voxel_size,
                ndim=None if given.roi is None else given.roi.dims,
            )
        except (MetadataConflict, MetadataMissing) as error:
            error.add_note(
                f"In {type(self).__name__} that is array_specs={{{key}: "
                "ArraySpec(voxel_size=...)}, or default_voxel_size='ones'."
            )
            raise
        dims, ndim = len(geometry.voxel_size), len(dataset.shape)
        spatial = list(range(ndim - dims, ndim) if self.channels_first else range(dims))
        if geometry.spatial is not None:
            spatial = list(geometry.spatial)
        shape = Coordinate(dataset.shape[axis] for axis in spatial)
        whole = Roi(geometry.offset, shape * geometry.voxel_size)
        roi = whole if given.roi is None else given.roi
        if not whole.contains(roi):
            raise ValueError(
                f"{self.name()}: array_specs place {key} at {roi}, but {dataset.uri} covers only "
                f"{whole} from there (world units)"
            )
        if not (roi / geometry.voxel_size == roi // geometry.voxel_size):
            raise ValueError(
                f"{self.name()}: {key} lies off its voxel grid: "
                f"{off_grid(roi, geometry.voxel_size)}. Correct the offset of {dataset.uri}, or "
                "give array_specs with a roi on the grid"
            )
        return ArraySpec(roi, geometry.voxel_size), spatial


class _Opened:
    """A dataset with its place, read by regions of the world."""

    def __init__(
        self, dataset: StoredDataset, spec: ArraySpec, leading: list[int], spatial: list[int]
    ) -> None:
        self.spec = spec
        self.dataset = dataset
        self._leading = leading
        self._spatial = spatial
        self._extent: Coordinate | None = None

    @property
    def in_memory(self) -> bool:
        """Whether regions are seen where they lie."""
        return self.dataset.look((slice(0, 0),) * len(self.dataset.shape)) is not None

    @property
    def values(self) -> int:
        """How many values a voxel has."""
        return prod(self.dataset.shape[axis] for axis in self._leading)

    def read(self, roi: Roi | None) -> Borrowed | Fresh:
        """The voxels of a region: leading axes first, then the spatial ones."""
        where, axes = self.where(roi), [*self._leading, *self._spatial]
        seen = self.dataset.look(where)
        if seen is not None:
            return Borrowed(seen.transpose(axes))
        return Fresh(self.dataset.read(where).transpose(axes))

    def read_ahead(self, asked: Roi, way: Coordinate) -> None:
        """Begin to read what may be asked for next, so far away from what was asked for."""
        there = (self._uncut(asked) + way).intersect(self.spec.region)
        # Where steps are no whole voxels, what will be asked for was snapped to the grid.
        if not there.empty and not is_off_grid(there - self.spec.region.offset, self.spec.grid):
            self.dataset.read_ahead(self.where(there))

    def _uncut(self, asked: Roi) -> Roi:
        """A region as large as the largest so far: one at a border may be what is left of it."""
        sizes = asked.shape if self._extent is None else map(max, asked.shape, self._extent)
        self._extent = extent = Coordinate(sizes)
        sides = zip(asked.begin, self.spec.region.begin, asked.end, extent, strict=True)
        return Roi([end - size if low == there else low for low, there, end, size in sides], extent)

    def where(self, roi: Roi | None) -> tuple[slice, ...]:
        """A region of the world in the dataset's own axes and voxels; None is all of it."""
        where = [slice(0, n) for n in self.dataset.shape]
        if roi is not None:
            region = voxel_slices(roi, self.spec.region.offset, self.spec.grid)
            for axis, cut in zip(self._spatial, region, strict=True):
                where[axis] = cut
        return tuple(where)
