"""Datasets in zarr stores: formats 2 and 3, sharded or not, directories, zip files and others."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from voxflow.stores.base import (
    Attrs,
    MissingChunks,
    Mode,
    StoredDataset,
    missing_chunk,
    parse_choice,
)
from voxflow.stores.errors import (
    DatasetNotFound,
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreUnusable,
)
from voxflow.stores.grid import Index, chunks_of, format_bounds
from voxflow.stores.names import clean_path, not_found
from voxflow.stores.zarr_chunks import (
    ChunkNotStored,
    StrictStore,
    chunk_is_stored,
    missing_in_shard,
)
from voxflow.stores.zarr_fast import quick_array
from voxflow.stores.zarr_place import describe_store, group_attrs_above, open_store, zarr_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds
    from voxflow.stores.pool import ChunkPool

__all__ = ["ZarrAttrs", "ZarrDataset", "open_node"]


class ZarrDataset(StoredDataset):
    """A dataset of a zarr store, held by name: opened when needed, and anew in every process.

    Reading opens the store read-only. What is written is stored chunk for chunk, those that hold
    nothing but the fill value included, so that a chunk which is not there was never written.

    Parameters
    ----------
    store
        A path, a URL that fsspec knows, a zarr store, or a dict.
    path
        Of the dataset in it.
    mode
        ``"r"`` or ``"r+"``.
    missing_chunks
        What reading a chunk that is not stored means: ``"error"``, or ``"fill"`` for the fill
        value. Inside shards it is looked for as well, unless the index of the shards is compressed.
    """

    def __init__(
        self,
        store: Any,
        path: str = "",
        mode: Mode = "r",
        missing_chunks: MissingChunks = "error",
    ) -> None:
        super().__init__(mode)
        self._store = store
        self._path = clean_path(path)
        self._uri = f"{describe_store(store)}:{self._path}"
        self._missing = parse_choice("missing_chunks", missing_chunks, ("error", "fill"))
        self._opened: dict[bool, tuple[int, Any]] = {}
        array = self._array(write=mode == "r+")
        self._shape = tuple(int(extent) for extent in array.shape)
        self._dtype: np.dtype[Any] = array.dtype.newbyteorder("=")
        self._chunks = tuple(int(size) for size in array.shards or array.chunks)
        self._inner = tuple(int(size) for size in array.chunks)
        self._quick = quick_array(store, self._path, array, self._missing, mode)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels: shards where there are such, else chunks."""
        return self._chunks

    @property
    def concurrent(self) -> bool:
        """Several threads read at the same time."""
        return True

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """The chunks, in shards too."""
        return self._inner

    def keeping(self, pool: ChunkPool) -> ZarrDataset | None:
        """The same, by way of tensorstore, if that reads it."""
        quick = None if self._quick is None else self._quick.keeping(pool)
        if quick is None:
            return None
        kept = copy.copy(self)
        kept._quick = quick
        return kept

    def read_ahead(self, region: Sequence[slice] = ()) -> None:
        """Begin to read a region, if tensorstore reads and keeps it."""
        if self._quick is not None:
            self._quick.read_ahead(tuple(region))

    @property
    def attrs(self) -> Attrs:
        """The dataset's own attributes."""
        return ZarrAttrs(self._array(write=self.mode == "r+"), self.mode, self.uri)

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """The groups above, nearest first: path of the dataset in the group, and its attributes."""
        above = group_attrs_above(self._store, self._path, self.mode)
        return [(rest, ZarrAttrs(group, self.mode, self.uri)) for rest, group in above]

    @property
    def uri(self) -> str:
        """Store and dataset, for messages."""
        return self._uri

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def _array(self, write: bool = False) -> Any:
        """Give zarr's array of this process."""
        pid, array = self._opened.get(write, (None, None))
        if pid != os.getpid():
            array = self._open(write)
            self._opened[write] = (os.getpid(), array)
        return array

    def _open(self, write: bool) -> Any:
        if write:
            array = open_node(open_store(self._store, "r+"), self._path, "r+", self._store)
            return array.with_config({"write_empty_chunks": True})
        store = open_store(self._store, "r")
        if self._missing == "error":
            store = StrictStore(store)
        return open_node(store, self._path, "r", self._store)

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        if self._quick is not None and (data := self._quick.read(region)) is not None:
            return data.astype(self._dtype, order="C", copy=False)
        # Also where a chunk is not there: what follows says which.
        array = self._array()
        try:
            data = np.array(array[region], dtype=self._dtype, order="C", copy=None)
        except ChunkNotStored as error:
            raise self._missing_chunk(array, bounds, error.key) from None
        except StoreError:
            raise
        except Exception as error:  # each codec has errors of its own
            raise StoreUnusable(
                f"{self.uri}: voxels {format_bounds(bounds)} cannot be decoded, because a chunk is "
                f"cut off or damaged ({error}). Restore it, or write the region again"
            ) from error
        if self._missing == "error" and array.shards is not None:
            self._check_shards(array, bounds)
        return data

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        begun = self._begin_write(region, bounds, data)
        if begun is not None:
            begun()
        else:
            self._array(write=True)[region] = np.asarray(data, self._dtype)

    def _begin_write(
        self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]
    ) -> Callable[[], None] | None:
        # Of chunks that are cut off, tensorstore leaves open what is stored behind the end. A part
        # of one it changes as if it were there as last seen, if the file has the same time.
        whole = all(
            begin % size == 0 and end % size == 0
            for (begin, end), size in zip(bounds, self._chunks, strict=True)
        )
        if not whole or self._quick is None:
            return None
        return self._quick.begin_write(region, np.asarray(data, self._dtype), self.uri)

    def _missing_chunk(self, array: Any, bounds: Bounds, key: str) -> MissingChunk:
        """Look which of the region's chunks are not stored, after reading hit the first of them."""
        keys = {index: _key(array, index) for index in chunks_of(bounds, self._chunks)}
        missing = [i for i, name in keys.items() if not chunk_is_stored(array.store, name)]
        missing = missing or [index for index, name in keys.items() if name == key]
        return missing_chunk(
            self,
            bounds,
            missing or [next(iter(keys))],
            len(keys),
            grid=self._chunks,
            fill=array.fill_value,
            key=keys[missing[0]] if missing else key,
            kind="chunk" if array.shards is None else "shard",
        )

    def _check_shards(self, array: Any, bounds: Bounds) -> None:
        """Raise if a chunk under the region is missing in its shard."""
        inner = tuple(array.chunks)
        per_shard = tuple(s // c for s, c in zip(self._chunks, inner, strict=True))
        touched = list(chunks_of(bounds, inner))
        absent: dict[Index, frozenset[Index]] = {}
        missing = []
        for index in touched:
            shard = tuple(i // n for i, n in zip(index, per_shard, strict=True))
            if shard not in absent:
                absent[shard] = missing_in_shard(array, _key(array, shard), per_shard)
            if tuple(i % n for i, n in zip(index, per_shard, strict=True)) in absent[shard]:
                missing.append(index)
        if missing:
            shard = tuple(i // n for i, n in zip(missing[0], per_shard, strict=True))
            key = _key(array, shard)
            raise missing_chunk(
                self,
                bounds,
                missing,
                len(touched),
                grid=inner,
                fill=array.fill_value,
                key=f"in shard {key}",
            )


def _key(array: Any, index: Index) -> str:
    """Give the key that a chunk (or shard) is stored under."""
    key: str = array.metadata.encode_chunk_key(index)
    return f"{array.path}/{key}" if array.path else key


def open_node(store: Any, path: str, mode: Mode, origin: Any) -> Any:
    """Open zarr's array.

    Raises
    ------
    DatasetNotFound
        If it is not there: says which ones are.
    """
    try:
        return zarr.open_array(store=store, path=path, mode=mode)
    except (FileNotFoundError, KeyError, ValueError) as error:
        is_group = isinstance(error, zarr.errors.ContainsGroupError)
        absent = isinstance(
            error, (FileNotFoundError, KeyError, zarr.errors.NodeTypeValidationError)
        )
        if not absent and not is_group:
            raise
        if not store.supports_listing:
            raise DatasetNotFound(
                f"there is no dataset {path!r} in {describe_store(origin)}"
            ) from None
        names = zarr_names(origin)
        is_group = is_group or any(name.startswith(f"{path}/") for name in names)
        raise DatasetNotFound(not_found(describe_store(origin), path, names, is_group)) from None


class ZarrAttrs(MutableMapping[str, Any]):
    """Attributes of an array or group; numpy's values are written as plain JSON."""

    def __init__(self, node: Any, mode: Mode, uri: str) -> None:
        self._node = node
        self._mode = mode
        self._uri = uri

    def __getitem__(self, name: str) -> Any:
        return self._node.attrs[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._check_writable()
        self._node.attrs[name] = jsonable(value)

    def update(self, *args: Any, **values: Any) -> None:
        """Set several attributes by one write."""
        self._check_writable()
        self._node.attrs.update(jsonable(dict(*args, **values)))

    def __delitem__(self, name: str) -> None:
        self._check_writable()
        del self._node.attrs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._node.attrs)

    def __len__(self) -> int:
        return len(self._node.attrs)

    def _check_writable(self) -> None:
        if self._mode == "r":
            raise ReadOnly(f"{self._uri} is open for reading only: open it with mode='r+' to write")


def jsonable(value: Any) -> Any:
    """Turn numpy's values and tuples into what JSON knows.

    >>> jsonable({"resolution": np.array([4, 4]), "range": (np.float64(0.5), None)})
    {'resolution': [4, 4], 'range': [0.5, None]}
    """
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, Mapping):
        return {str(name): jsonable(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(entry) for entry in value]
    if isinstance(value, bytes):
        return value.decode()
    return value
