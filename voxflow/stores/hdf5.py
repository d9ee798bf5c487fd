"""Datasets in HDF5 files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from voxflow.stores.base import (
    Attrs,
    Compression,
    MissingChunks,
    Mode,
    StoredDataset,
    missing_chunk,
    parse_choice,
    parse_region,
    wrong_compression,
)
from voxflow.stores.compression import parse_compression
from voxflow.stores.disk import need_room
from voxflow.stores.errors import DatasetNotFound, ReadOnly, StoreUnusable
from voxflow.stores.grid import Index, chunk_bounds, chunks_of, copy_chunk, format_bounds
from voxflow.stores.hdf5_files import get_handle
from voxflow.stores.hdf5_raw import chunk_decoder, mapped_file
from voxflow.stores.names import clean_path, not_found

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["Hdf5Dataset", "create_hdf5", "delete_hdf5", "hdf5_attrs", "hdf5_names"]

_CODECS = ("gzip", "lzf", "szip")


class Hdf5Dataset(StoredDataset):
    """A dataset of an HDF5 file, held by name: the file is opened when needed.

    It can be pickled and used in a forked process: either opens the file for itself. Threads take
    turns.

    Parameters
    ----------
    filename
        Of the file.
    path
        Of the dataset in it.
    mode
        ``"r"`` or ``"r+"``.
    missing_chunks
        What reading a chunk that was never written means: ``"error"``, or ``"fill"`` for HDF5's
        fill value. A dataset without chunks has no such.
    locking
        HDF5's file locking, None for the default of HDF5.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        path: str,
        mode: Mode = "r",
        missing_chunks: MissingChunks = "error",
        locking: bool | str | None = None,
    ) -> None:
        super().__init__(mode)
        self._filename = os.fspath(filename)
        self._path = clean_path(path)
        self._missing = parse_choice("missing_chunks", missing_chunks, ("error", "fill"))
        self._locking = locking
        self._handle = get_handle(filename, locking)
        self._cached: tuple[int, Any] = (-1, None)
        self._layout: _Layout | None = None
        self._stored: set[Index] | None = set()  # chunks known to be stored; None: all are
        if mode == "r+":
            self._handle.add_writer(self)
        with self._handle.opened() as file:
            dataset = self._dataset(file)
            self._shape, self._dtype, self._chunks = self._layout = _layout(dataset)
            self._of = self._handle.identity
            self._fill = dataset.fillvalue
            self._decoder = chunk_decoder(dataset)
            self._mapped = mapped_file(dataset, self._filename) if mode == "r" else None

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels; None if stored in one piece."""
        return self._chunks

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """The chunks."""
        return self._chunks

    @property
    def attrs(self) -> Attrs:
        """The dataset's own attributes."""
        return Hdf5Attrs(self._handle.opened, self._path, self.mode, self.uri, owner=self)

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """The groups above, nearest first: path of the dataset in the group, and its attributes."""
        parts = self._path.split("/")
        return [
            (
                "/".join(parts[i:]),
                Hdf5Attrs(
                    self._handle.opened, "/".join(parts[:i]) or "/", self.mode, self.uri, owner=self
                ),
            )
            for i in range(len(parts) - 1, -1, -1)
        ]

    @property
    def uri(self) -> str:
        """File and dataset, for messages."""
        return f"{self._filename}:{self._path}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._filename, self._path, self.mode, self._missing, self._locking)

    def _dataset(self, file: Any) -> Any:
        """Give h5py's object, which lives as long as the file stays open."""
        if self._cached[0] != self._handle.generation:
            found = file.get(self._path or "/")
            if not isinstance(found, h5py.Dataset):
                raise DatasetNotFound(
                    not_found(self._filename, self._path, _names(file), found is not None)
                )
            if found.shape is None:
                raise StoreUnusable(f"{self.uri} has a type, but no shape and no values")
            if self._layout is not None and self._layout != _layout(found):
                raise StoreUnusable(
                    f"{self.uri} was made anew while it was in use: it had shape "
                    f"{self._shape}, dtype {self._dtype}, and has now {found.shape}, "
                    f"{found.dtype}. Open it again"
                )
            if self._layout is not None and self._of != self._handle.identity:
                raise StoreUnusable(
                    f"{self.uri}: another file has taken the place of the one that is in use. Open "
                    "it again"
                )
            self._cached = (self._handle.generation, found)
            self._stored = set()
        return self._cached[1]

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        if self._decoder is None or self._chunks is None:
            return self._read_by_hdf5(region, bounds)
        with self._handle.opened() as file:  # one message for all chunks that are not there
            self._check_stored(self._dataset(file), bounds, self._chunks)
        out = np.empty([end - begin for begin, end in bounds], self._dtype)
        for index in chunks_of(bounds, self._chunks):
            copy_chunk(self.fetch(index), index, self._chunks, bounds, out)
        return out

    def _read_by_hdf5(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        with self._handle.opened() as file:
            dataset = self._dataset(file)
            self._check_stored(dataset, bounds, self._chunks)
            return np.array(dataset[region], dtype=self._dtype, order="C", copy=None)

    def fetch(self, index: Index) -> NDArray[Any]:
        """Read one chunk; see `StoredDataset.fetch`.

        Chunks that are compressed by gzip are decoded here, which is faster than what HDF5 has, and
        lets other threads work.
        """
        bounds = chunk_bounds(index, self._chunks or self._shape, self._shape)
        region = tuple(slice(begin, end) for begin, end in bounds)
        raw = None if self._decoder is None else self._raw_chunk(index, bounds)
        if raw is None or self._decoder is None:
            return self._read_by_hdf5(region, bounds)
        try:
            chunk = self._decoder(raw)
        except Exception as error:
            raise StoreUnusable(
                f"{self.uri}: chunk {index}, voxels {format_bounds(bounds)}, cannot be decoded "
                f"({error}). The file is damaged: restore it, or write that region again"
            ) from error
        return chunk[tuple(slice(0, end - begin) for begin, end in bounds)]

    def _raw_chunk(self, index: Index, bounds: Bounds) -> bytes | None:
        """The bytes of a chunk; None if it is not stored, or not as chunks of this dataset are."""
        with self._handle.opened() as file:
            dataset = self._dataset(file)
            self._check_stored(dataset, bounds, self._chunks)
            place = tuple(i * size for i, size in zip(index, dataset.chunks, strict=True))
            stored = self._missing == "error"  # which was just looked at
            if not stored and dataset.id.get_chunk_info_by_coord(place).byte_offset is None:
                return None
            left_out, raw = dataset.id.read_direct_chunk(place)
            return None if left_out else bytes(raw)

    def look(self, region: Sequence[slice] = ()) -> NDArray[Any] | None:
        """A region of a dataset that is stored in one piece, mapped from the file."""
        if self._mapped is None:
            return None
        bounds = parse_region(region, self.shape, self.uri)
        return self._mapped.array()[tuple(slice(begin, end) for begin, end in bounds)]

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        whole = bounds
        if self._chunks is not None:  # which are made as a whole
            pairs = zip(bounds, self._chunks, strict=True)
            whole = tuple((b // size * size, -(-e // size) * size) for (b, e), size in pairs)
        need_room(self._filename, math.prod(e - b for b, e in whole) * self._dtype.itemsize)
        with self._handle.opened() as file:
            self._dataset(file)[region] = data

    def flush(self) -> None:
        """Hand what was written to the operating system, so that it outlives this process."""
        with self._handle.opened() as file:
            file.flush()

    def _check_stored(self, dataset: Any, bounds: Bounds, chunks: tuple[int, ...] | None) -> None:
        """Raise if a chunk under the region was never written, unless such are filled.

        Listing a dataset's chunks is slow, so what is there is remembered: HDF5 never drops
        a chunk again.
        """
        if self._stored is None or self._missing != "error" or chunks is None:
            return
        touched = list(chunks_of(bounds, chunks))
        if self._stored.issuperset(touched):
            return
        self._stored = _stored_chunks(dataset, chunks)
        if self._stored is None:
            return
        missing = [index for index in touched if index not in self._stored]
        if missing:
            raise missing_chunk(self, bounds, missing, len(touched), grid=chunks, fill=self._fill)


_Layout = tuple[tuple[int, ...], np.dtype[Any], tuple[int, ...] | None]


def _layout(dataset: Any) -> _Layout:
    """Give shape, dtype in native byte order, and chunks of h5py's dataset."""
    return tuple(dataset.shape), dataset.dtype.newbyteorder("="), dataset.chunks


def _stored_chunks(dataset: Any, chunks: tuple[int, ...]) -> set[Index] | None:
    """List the chunks that are stored; None if all are."""
    total = 1
    for extent, size in zip(dataset.shape, chunks, strict=True):
        total *= -(-extent // size)
    if dataset.id.get_num_chunks() == total:
        return None
    stored: set[Index] = set()

    def add(chunk: Any) -> None:
        stored.add(tuple(b // s for b, s in zip(chunk.chunk_offset, chunks, strict=True)))

    dataset.id.chunk_iter(add)
    return stored


class Hdf5Attrs(MutableMapping[str, Any]):
    """Attributes of a dataset or group, read and written in place.

    HDF5 holds numbers and text. Dicts and lists of dicts are written as JSON text.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Any]],
        path: str,
        mode: Mode,
        uri: str,
        owner: object = None,
    ) -> None:
        self._opened = opened
        self._path = path
        self._mode = mode
        self._uri = uri
        self._owner = owner  # keeps the file open for writing as long as the attributes are

    def __getitem__(self, name: str) -> Any:
        with self._opened() as file:
            return file[self._path].attrs[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if self._mode == "r":
            raise ReadOnly(f"{self._uri} is open for reading only: open it with mode='r+' to write")
        with self._opened() as file:
            file[self._path].attrs[name] = _storable(value)

    def __delitem__(self, name: str) -> None:
        if self._mode == "r":
            raise ReadOnly(f"{self._uri} is open for reading only: open it with mode='r+' to write")
        with self._opened() as file:
            del file[self._path].attrs[name]

    def __iter__(self) -> Iterator[str]:
        with self._opened() as file:
            return iter(list(file[self._path].attrs))

    def __len__(self) -> int:
        with self._opened() as file:
            return len(file[self._path].attrs)


def _storable(value: Any) -> Any:
    nested = isinstance(value, Mapping) or (
        isinstance(value, (list, tuple)) and any(isinstance(v, (Mapping, list)) for v in value)
    )
    return json.dumps(value) if nested else value


def create_hdf5(
    filename: str | os.PathLike[str],
    path: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...] | None,
    compression: Compression,
    fill_value: Any,
    attrs: Mapping[str, Any],
) -> None:
    """Make a dataset, and the file and groups that lead to it; it must not exist."""
    codec = parse_compression(compression)
    if codec is not None and codec.name not in _CODECS:
        raise wrong_compression(compression, _CODECS, "an HDF5 dataset")
    handle = get_handle(filename)
    handle.create()
    need_room(handle.path, 0)
    options: dict[str, Any] = {"fillvalue": fill_value}
    if chunks is not None and all(shape):
        # HDF5 wants chunks that are no larger than the dataset, and compresses nothing else.
        options["chunks"] = tuple(min(c, s) for c, s in zip(chunks, shape, strict=True))
        if codec is not None:
            options["compression"] = codec.name if codec.level is None else codec.level
    creator = _Creator()
    handle.add_writer(creator)
    with handle.opened() as file:
        dataset = file.create_dataset(clean_path(path), shape, dtype, **options)
        for name, value in attrs.items():
            dataset.attrs[name] = _storable(value)


class _Creator:
    """Stands for a dataset while it is made: the file is open for writing as long as it lives."""


def delete_hdf5(filename: str | os.PathLike[str], path: str) -> None:
    """Delete a dataset (HDF5 does not give its space back to the disk)."""
    handle = get_handle(filename)
    creator = _Creator()
    handle.add_writer(creator)
    with handle.opened() as file:
        del file[clean_path(path)]


def hdf5_attrs(filename: str | os.PathLike[str], path: str, mode: Mode) -> Attrs:
    """Give the attributes of a group or dataset; ``"r+"`` makes the file and the groups."""
    handle = get_handle(filename)
    name = clean_path(path) or "/"
    owner = _Creator()
    if mode == "r+":
        handle.create()
        handle.add_writer(owner)
    with handle.opened() as file:
        if name not in file:
            if mode == "r":
                raise DatasetNotFound(not_found(os.fspath(filename), name, _names(file), False))
            file.create_group(name)
    return Hdf5Attrs(handle.opened, name, mode, f"{os.fspath(filename)}:{name}", owner=owner)


def hdf5_names(filename: str | os.PathLike[str]) -> list[str]:
    """List the datasets of a file."""
    with get_handle(filename).opened() as file:
        return _names(file)


def _names(file: Any) -> list[str]:
    names: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)

    file.visititems(visit)
    return names
