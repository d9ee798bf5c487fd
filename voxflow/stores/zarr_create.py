"""Make arrays and groups in zarr stores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr
import zarr.codecs
from zarr.core.sync import sync

from voxflow.stores.base import Attrs, Compression, Mode, wrong_compression
from voxflow.stores.compression import parse_compression
from voxflow.stores.errors import DatasetNotFound, StoreError
from voxflow.stores.names import clean_path, not_found
from voxflow.stores.zarr import ZarrAttrs, jsonable
from voxflow.stores.zarr_place import describe_store, open_store, root_format, zarr_names

__all__ = ["create_zarr", "create_zarr_like", "delete_zarr", "zarr_attrs"]

_CODECS = ("gzip", "zstd", "blosc")
_LEVELS = {"gzip": "level", "zstd": "level", "blosc": "clevel"}
_GZIP_LEVEL = 4  # as in HDF5


def create_zarr(
    store: Any,
    path: str,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    compression: Compression,
    fill_value: Any,
    attrs: Mapping[str, Any],
    zarr_format: int | None,
    separator: str | None = None,
    axes: Sequence[str] | None = None,
) -> None:
    """Make an array, and the store and groups that lead to it; it must not exist."""
    opened = _open_or_make(store)
    kind = _format(store, opened, zarr_format, shards)
    path = clean_path(path)
    _make_groups(opened, path.rpartition("/")[0] if path else None, kind)
    zarr.create_array(
        store=opened,
        name=path or None,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        shards=shards,
        compressors=_compressors(compression, kind),
        fill_value=fill_value,
        zarr_format=kind,
        attributes=jsonable(dict(attrs)),
        chunk_key_encoding=_encoding(separator, kind),
        dimension_names=[axis.rstrip("^") for axis in axes] if axes and kind == 3 else None,
        config={"write_empty_chunks": True},
    )


def create_zarr_like(
    store: Any, like: str, path: str, shape: tuple[int, ...], attrs: Mapping[str, Any]
) -> None:
    """Make an array that is stored as another one of the store is; it must not exist.

    Parameters
    ----------
    store
        As for `create_zarr`.
    like
        The path of the other one, of which format, type, chunks, shards, compressors, fill value
        and names of the axes are taken.
    path
        Of the new one, in a group that is there.
    shape
        In voxels.
    attrs
        Of the new one.
    """
    opened = open_store(store, "r+")
    model: Any = zarr.open_array(store=opened, path=clean_path(like), mode="r")
    kind = model.metadata.zarr_format
    options: dict[str, Any] = {}
    if kind == 3:
        options["serializer"] = model.serializer
        options["dimension_names"] = model.metadata.dimension_names
        options["chunk_key_encoding"] = model.metadata.chunk_key_encoding
    else:
        options["chunk_key_encoding"] = _encoding(model.metadata.dimension_separator, kind)
    zarr.create_array(
        store=opened,
        name=clean_path(path),
        shape=shape,
        dtype=model.dtype,
        chunks=model.chunks,
        shards=model.shards,
        filters=model.filters or None,
        compressors=model.compressors or None,
        fill_value=model.fill_value,
        zarr_format=kind,
        attributes=jsonable(dict(attrs)),
        config={"write_empty_chunks": True},
        **options,
    )


def _open_or_make(store: Any) -> Any:
    if isinstance(store, (str, os.PathLike)) and "://" not in os.fspath(store):
        os.makedirs(store, exist_ok=True)
    return open_store(store, "r+")


def _format(store: Any, opened: Any, wanted: int | None, shards: tuple[int, ...] | None) -> Any:
    """Choose the format: the store's own, else the one asked for, else 3 for shards and 2."""
    found = root_format(opened)
    if wanted is not None and found is not None and wanted != found:
        raise StoreError(
            f"{describe_store(store)} is a zarr store of format {found}: a dataset of format "
            f"{wanted} cannot be put into it. Leave zarr_format out, or take another store"
        )
    kind = wanted or found or (3 if shards else 2)
    if kind == 2 and shards is not None:
        raise StoreError(
            f"{describe_store(store)}: zarr format 2 has no shards; make a store of format 3 "
            "(zarr_format=3), or leave shards out"
        )
    return kind


def _make_groups(opened: Any, path: str | None, kind: Any) -> None:
    """Make the group of this path and all above it; None stands for no group at all."""
    if path is None:
        return
    parts = path.split("/") if path else []
    for i in range(len(parts) + 1):
        zarr.open_group(store=opened, path="/".join(parts[:i]), mode="a", zarr_format=kind)


def _encoding(separator: Any, kind: int) -> Any:
    name = "v2" if kind == 2 else "default"
    return None if separator is None else {"name": name, "separator": separator}


def _compressors(compression: Compression, kind: int) -> Any:
    codec = parse_compression(compression)
    if codec is None:
        return None
    if codec.name not in _CODECS:
        raise wrong_compression(compression, _CODECS, "a zarr array")
    options: dict[str, Any] = {} if codec.level is None else {_LEVELS[codec.name]: codec.level}
    if codec.inner is not None:
        options["cname"] = codec.inner
    if codec.name == "gzip":
        options.setdefault("level", _GZIP_LEVEL)
    if kind == 2:
        import numcodecs  # type: ignore[import-untyped]

        return getattr(numcodecs, {"gzip": "GZip"}.get(codec.name, codec.name.title()))(**options)
    return getattr(zarr.codecs, f"{codec.name.title()}Codec")(**options)


def delete_zarr(store: Any, path: str) -> None:
    """Delete an array with its chunks."""
    sync(open_store(store, "r+").delete_dir(clean_path(path)))


def zarr_attrs(store: Any, path: str, mode: Mode, zarr_format: int | None = None) -> Attrs:
    """Give the attributes of a group or array; ``"r+"`` makes the store and the groups."""
    path = clean_path(path)
    uri = f"{describe_store(store)}:{path}"
    opened = open_store(store, "r") if mode == "r" else _open_or_make(store)
    try:
        return ZarrAttrs(zarr.open(store=opened, path=path, mode=mode), mode, uri)
    except FileNotFoundError:
        if mode == "r":
            raise DatasetNotFound(
                not_found(describe_store(store), path, zarr_names(store))
            ) from None
    _make_groups(opened, path, _format(store, opened, zarr_format, None))
    return ZarrAttrs(zarr.open(store=opened, path=path, mode=mode), mode, uri)
