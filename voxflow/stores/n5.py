"""Datasets in N5 containers.

Source: https://github.com/saalfeldlab/n5, "File-system specification". N5 names the axis first that
changes fastest, so every list of its ``attributes.json`` is in the other direction than here.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import Attrs, Compression, MissingChunks, Mode, wrong_compression
from voxflow.stores.compression import parse_compression
from voxflow.stores.drivers import Driver, Level
from voxflow.stores.errors import (
    DatasetNotFound,
    MetadataMissing,
    ReadOnly,
    StoreError,
    StoreNotFound,
)
from voxflow.stores.n5_scales import SCALE, placed
from voxflow.stores.names import not_found
from voxflow.stores.remote import delete_folder, is_url, join, read_key, write_key
from voxflow.stores.tensor import TensorDataset

if TYPE_CHECKING:
    import numpy as np

__all__ = ["N5Dataset"]

_FILE = "attributes.json"
_OWN = frozenset({"dimensions", "blockSize", "dataType", "compression", "n5"})
_REVERSED = {"resolution": 1, "voxel_size": 1, "offset": 0, "units": "", "axis_names": None}
_VERSION = "2.5.0"
_CODECS: dict[str, dict[str, Any]] = {
    "gzip": {"type": "gzip", "level": 4, "useZlib": False},  # the level of HDF5
    "zstd": {"type": "zstd", "level": 3},
    "blosc": {"type": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 1, "blocksize": 0},
    "bzip2": {"type": "bzip2", "blockSize": 9},
    "xz": {"type": "xz", "preset": 6},
}
_LEVELS = {
    "gzip": "level",
    "zstd": "level",
    "blosc": "clevel",
    "bzip2": "blockSize",
    "xz": "preset",
}
_NOT_SPACE = ("c", "channel", "t", "time")


class N5Dataset(TensorDataset):
    """A dataset of an N5 container in a folder or at a URL."""

    _driver = "n5"

    def _arranged(self, array: Any) -> Any:
        return array.T

    @property
    def attrs(self) -> Attrs:
        """The dataset's own attributes, with lists along axes in our order."""
        return N5Attrs(self.folder, self.mode, self.uri, groups_above(self._root, self._path))


class N5Attrs(MutableMapping[str, Any]):
    """Attributes of a dataset or group; what N5 itself keeps among them is left out.

    Parameters
    ----------
    folder
        Of the dataset.
    mode
        ``"r"`` or ``"r+"``.
    uri
        For messages.
    groups
        The folders of the groups above, nearest first, which may say how large the voxels are.
    """

    def __init__(self, folder: str, mode: Mode, uri: str, groups: Sequence[str] = ()) -> None:
        self._folder, self._mode, self._uri, self._groups = folder, mode, uri, groups

    def _stored(self) -> dict[str, Any]:
        return read_attributes(self._folder) or {}

    def _ours(self) -> dict[str, Any]:
        stored = self._stored()
        rank, names = len(stored.get("dimensions", ())), stored.get("axes")
        seen = {name: value for name, value in stored.items() if name not in _OWN | {"axes"}}
        if rank and "resolution" not in seen:
            name = self._folder.rstrip("/").rpartition("/")[2]
            seen = placed(name, seen, self._above) | seen
        if isinstance(names, list) and len(names) == rank:
            seen["axis_names"] = names
        space = [str(name).lower().strip("^") not in _NOT_SPACE for name in names or ()]
        for name in _REVERSED.keys() & seen.keys():
            values = seen[name]
            if isinstance(values, list):
                if name != "axis_names" and len(values) == rank == len(space):
                    values = [value for value, kept in zip(values, space, strict=True) if kept]
                seen[name] = values[::-1]
        return seen

    @cached_property
    def _above(self) -> list[dict[str, Any]]:
        return [read_attributes(folder) or {} for folder in self._groups]

    def __getitem__(self, name: str) -> Any:
        return self._ours()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours())

    def __len__(self) -> int:
        return len(self._ours())

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        self._check_writable()
        stored = self._stored()
        del stored["axes" if name == "axis_names" else name]
        self._store(stored)

    def update(self, *args: Any, **values: Any) -> None:
        """Set several attributes by one write."""
        self._check_writable()
        stored = self._stored()
        rank = len(stored.get("dimensions", ()))
        self._store(stored | to_n5(dict(*args, **values), rank, stored.get("axes")))

    def _store(self, stored: Mapping[str, Any]) -> None:
        write_key(self._folder, _FILE, json.dumps(stored).encode())

    def _check_writable(self) -> None:
        if self._mode == "r":
            raise ReadOnly(f"{self._uri} is open for reading only: open it with mode='r+' to write")


def to_n5(attrs: Mapping[str, Any], rank: int, axes: Any = None) -> dict[str, Any]:
    """Turn attributes into those of N5, for all axes of the dataset.

    >>> to_n5({"resolution": [50, 4, 4]}, 4)
    {'resolution': [4, 4, 50, 1], 'axes': ['x', 'y', 'z', 'c']}
    """
    from voxflow.stores.metadata import axis_names
    from voxflow.stores.zarr import jsonable

    written: dict[str, Any] = jsonable(dict(attrs))
    names = written.pop("axis_names", None) or (axes and axes[::-1])
    for name in _REVERSED.keys() & written.keys():
        values = written[name]
        if isinstance(values, list) and len(values) <= rank:
            names = names or list(axis_names(rank, len(values)))
            written[name] = ([_REVERSED[name]] * (rank - len(values)) + values)[::-1]
    if names and len(names) == rank:
        written["axes"] = names[::-1]
    return written


def groups_above(root: str, path: str) -> list[str]:
    """The folders of the groups in which a dataset is, nearest first.

    >>> groups_above("a.n5", "em/raw/s0")
    ['a.n5/em/raw/', 'a.n5/em/', 'a.n5/']
    """
    parts = path.split("/") if path else []
    return [join(root, "/".join(parts[:count])) for count in reversed(range(len(parts)))]


def read_attributes(folder: str) -> dict[str, Any] | None:
    """The attributes of a group or dataset as they are stored; None if there are none."""
    found = read_key(folder, _FILE)
    if found is None:
        return None
    try:
        attributes = json.loads(found)
    except ValueError as error:
        raise StoreError(f"{folder}{_FILE} is damaged: {error}") from error
    return attributes if isinstance(attributes, dict) else None


class _N5(Driver):
    def open(
        self, store: str, path: str, mode: Mode, missing: MissingChunks, locking: Any
    ) -> N5Dataset:
        found = read_attributes(join(store, path))
        if found is None or "dimensions" not in found:
            self._not_there(store, path, found is not None)
        return N5Dataset(store, path, mode, missing)

    def _not_there(self, store: str, path: str, is_group: bool) -> None:
        if is_url(store):
            raise DatasetNotFound(f"there is no N5 dataset {path!r} at {store}")
        if not os.path.isdir(store):
            raise StoreNotFound(f"there is no folder {store}")
        names = self.names(store)
        is_group = is_group or any(name.startswith(f"{path}/") for name in names)
        raise DatasetNotFound(not_found(store, path, names, is_group))

    def names(self, store: str) -> list[str]:
        if is_url(store):
            raise StoreError(f"the datasets at {store} cannot be listed: name one")
        found = []
        for folder, below, files in os.walk(store):
            if _FILE in files and "dimensions" in (read_attributes(folder) or ()):
                below.clear()
                name = os.path.relpath(folder, store)
                found.append("" if name == "." else name.replace(os.sep, "/"))
        return found

    def levels(self, store: str, path: str) -> Sequence[Level]:
        for group in (path, f"{path}/data".lstrip("/")):  # the latter is Paintera's
            names = _scales(join(store, group))
            if names:
                return [_level(store, f"{group}/{name}".lstrip("/")) for name in names]
        return ()

    def attrs(self, store: str, path: str, mode: Mode) -> Attrs:
        if mode == "r" and read_attributes(join(store, path)) is None:
            self._not_there(store, path, False)
        return N5Attrs(join(store, path), mode, f"{store}:{path}")

    def create(self, store: str, path: str, **options: Any) -> None:
        _create(store, path, **options)

    def delete(self, store: str, path: str) -> None:
        delete_folder(join(store, path))


def _scales(folder: str) -> list[str]:
    """The names of a pyramid's levels, finest first."""
    if is_url(folder):
        every = (f"s{number}" for number in itertools.count())
        return list(itertools.takewhile(lambda name: _holds_array(join(folder, name)), every))
    there = os.listdir(folder) if os.path.isdir(folder) else ()
    names = [name for name in there if SCALE.fullmatch(name) and _holds_array(join(folder, name))]
    return sorted(names, key=lambda name: int(name[1:]))


def _holds_array(folder: str) -> bool:
    return "dimensions" in (read_attributes(folder) or ())


def _level(store: str, path: str) -> Level:
    uri = f"{store}:{path}"
    attrs = N5Attrs(join(store, path), "r", uri, groups_above(store, path))
    if "resolution" not in attrs:
        raise MetadataMissing(
            f"{uri} does not say its voxel size, nor do the groups above: name this level by its "
            "path, without level= and voxel_size=, and give the voxel size (array_specs)"
        )
    return Level(path, Coordinate(attrs["resolution"]))


def _create(
    store: str,
    path: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    compression: Compression,
    attrs: Mapping[str, Any],
    **_: Any,
) -> None:
    uri = f"{store}:{path}"
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or dtype == "float16":
        raise StoreError(f"{uri}: N5 holds integers and float32 and float64, not {dtype}")
    folder = join(store, path)
    if path and read_key(store, _FILE) is None:
        write_key(store, _FILE, json.dumps({"n5": _VERSION}).encode())
    stored = {
        **(read_attributes(folder) or {"n5": _VERSION}),
        "dimensions": list(shape[::-1]),
        "blockSize": list(chunks[::-1]),
        "dataType": dtype.newbyteorder("=").name,
        "compression": _codec(compression),
    }
    write_key(folder, _FILE, json.dumps(stored | to_n5(attrs, len(shape))).encode())


def _codec(compression: Compression) -> dict[str, Any]:
    codec = parse_compression(compression)
    if codec is None:
        return {"type": "raw"}
    if codec.name not in _CODECS:
        raise wrong_compression(compression, list(_CODECS), "an N5 dataset")
    stored = dict(_CODECS[codec.name])
    if codec.inner is not None:
        stored["cname"] = codec.inner
    if codec.level is not None:
        stored[_LEVELS[codec.name]] = codec.level
    return stored


driver = _N5()
