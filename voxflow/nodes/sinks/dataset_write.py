"""Arrays into files, whatever their format."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.nodes.sinks.casts import cast_for_output
from voxflow.nodes.sinks.sink import Sink, upstream_sinks
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, BatchRequest
from voxflow.pipeline.geometry import Coordinate, Roi, describe
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    OutputMismatch,
    StoreNotFound,
    create_dataset,
    open_dataset,
    read_geometry,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from voxflow.stores import Compression, StoredDataset


class DatasetWrite(Sink):
    """Writes every batch that passes to its place in datasets of one store.

    The first batch makes the datasets that are not there, as large as what is provided upstream.
    One that is there is filled further, if voxel size, channels and dtype are the same.

    Parameters
    ----------
    dataset_names
        The path of the dataset in the store for each array.
    store
        The file or store.
    compression_type
        None, "gzip", a level of gzip, or what else the format knows.
    dataset_dtypes
        Another dtype for the output of an array: fractions are cut off.

    Raises
    ------
    ValueError
        If two arrays go to one dataset; at setup, if a writer upstream writes to the same one, or
        an array is provided without bounds.
    OutputMismatch
        At the first batch: if a dataset is there that differs.
    """

    def __init__(
        self,
        dataset_names: Mapping[ArrayKey, str],
        store: Any,
        compression_type: Compression = None,
        dataset_dtypes: Mapping[ArrayKey, DTypeLike] | None = None,
    ) -> None:
        names = list(dataset_names.values())
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"more than one array would be written to {', '.join(twice)}")
        self.dataset_names = dict(dataset_names)
        self.store = store
        self.compression_type = compression_type
        self.dataset_dtypes = dict(dataset_dtypes or {})

    def setup(self) -> None:
        """Check that there is a place for everything."""
        for key in self.dataset_names:
            self.updates(key, self.spec[key].copy())
            roi = self.spec[key].roi
            if roi is None or roi.unbounded:
                raise RuntimeError(
                    f"{self.name()} cannot tell how large the dataset of {key} has to be, because "
                    f"its region is {roi}; put Crop upstream, or give a roi in array_specs"
                )
        for other in upstream_sinks(self):
            if isinstance(other, DatasetWrite):
                self._check_other(other)
        self.enable_autoskip()
        self._targets: dict[ArrayKey, _Target] = {}
        self._lock = threading.Lock()

    def _check_other(self, other: DatasetWrite) -> None:
        both = set(self.dataset_names.values()) & set(other.dataset_names.values())
        if both and str(other.store) == str(self.store):
            raise ValueError(
                f"{self.label} and {other.label} would both write {', '.join(sorted(both))} of "
                f"{self.store}; give one of them another name"
            )

    def teardown(self) -> None:
        """Let go of the datasets."""
        self.__dict__.pop("_targets", None)
        self.__dict__.pop("_lock", None)

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Need all arrays that are written."""
        needed = BatchRequest()
        for key in self.dataset_names:
            if key not in request:
                raise KeyError(
                    f"{self.name()} writes {key}, which is not in the request; ask for it, or "
                    "leave it out of dataset_names"
                )
            needed[key] = request[key]
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Write."""
        for key in self.dataset_names:
            self._target(key, batch[key]).write(batch[key])

    def _target(self, key: ArrayKey, array: Array) -> _Target:
        with self._lock:
            if key not in self._targets:
                self._targets[key] = self._open(key, array)
            return self._targets[key]

    def _open(self, key: ArrayKey, array: Array) -> _Target:
        spec = self.spec[key]
        lead = array.data.shape[: array.data.ndim - spec.region.dims]
        dtype = self.dataset_dtypes.get(key, array.data.dtype)
        name = self.dataset_names[key]
        target = _existing(self.store, name)
        if target is not None:
            target.check(spec, lead, dtype)
            return target
        self._make_folder()
        dataset = create_dataset(
            self.store,
            name,
            (*lead, *(spec.region.shape / spec.grid)),
            dtype,
            geometry=Geometry(spec.grid, spec.region.offset),
            block=array.data.shape,
            compression=self.compression_type,
            attrs=dict(array.attrs),
        )
        return _Target(dataset, spec.region.offset, spec.grid)

    def _make_folder(self) -> None:
        if isinstance(self.store, str | Path):
            Path(self.store).parent.mkdir(parents=True, exist_ok=True)


def _existing(store: Any, name: str) -> _Target | None:
    try:
        dataset = open_dataset(store, name, "r+")
    except (StoreNotFound, DatasetNotFound):
        return None
    geometry = read_geometry(dataset)
    return _Target(dataset, geometry.offset, geometry.voxel_size)


class _Target:
    """A dataset with its place, written by regions of the world."""

    def __init__(self, dataset: StoredDataset, offset: Coordinate, voxel_size: Coordinate) -> None:
        self._dataset = dataset
        self._voxel_size = voxel_size
        shape = Coordinate(dataset.shape[len(dataset.shape) - len(voxel_size) :])
        self._roi = Roi(offset, shape * voxel_size)

    def check(self, spec: ArraySpec, lead: tuple[int, ...], dtype: Any) -> None:
        """Raise if the dataset is not one that could have been made for this."""
        have = self._dataset.shape[: len(self._dataset.shape) - len(self._voxel_size)]
        differ = []
        for what, there, wanted in (
            ("voxel size", self._voxel_size, spec.grid),
            ("shape of the channels", have, lead),
            ("dtype", self._dataset.dtype, dtype),
        ):
            if there != wanted:
                differ.append(f"its {what} is {there}, not {wanted}")
        if not self._roi.contains(spec.region):
            differ.append(f"it covers {describe(self._roi, self._voxel_size)}, not {spec.region}")
        if differ:
            raise OutputMismatch(
                f"{self._dataset.uri} is there already, and differs: {'; '.join(differ)}. Remove "
                "it, or write to another file or name."
            )

    def write(self, array: Array) -> None:
        """Write an array to its place."""
        roi = array.spec.region
        data = cast_for_output(array.data, self._dataset.dtype, self._dataset.uri)
        region = ((roi - self._roi.offset) / self._voxel_size).to_slices()
        lead = [slice(0, n) for n in data.shape[: data.ndim - len(region)]]
        self._dataset.write((*lead, *region), data)
