"""Make datasets, or go on with those that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from voxflow.stores.base import Compression, Exist, MissingChunks, StoredDataset, parse_choice
from voxflow.stores.compression import parse_compression
from voxflow.stores.disk import disk_errors
from voxflow.stores.drivers import driver_of
from voxflow.stores.errors import (
    DatasetNotFound,
    MetadataMissing,
    OutputMismatch,
    StoreError,
    StoreNotFound,
)
from voxflow.stores.grid import default_chunks
from voxflow.stores.metadata import Geometry, geometry_attrs, read_geometry
from voxflow.stores.place import Format, Place, locate

__all__ = ["create_dataset", "delete_dataset"]


def create_dataset(
    store: Any,
    path: str,
    shape: Sequence[int],
    dtype: Any,
    *,
    geometry: Geometry | None = None,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
    block: Sequence[int] | None = None,
    compression: Compression = None,
    fill_value: Any = 0,
    attrs: Mapping[str, Any] | None = None,
    exist: Exist = "open",
    missing_chunks: MissingChunks = "error",
    format: Format | None = None,
    zarr_format: Literal[2, 3] | None = None,
    separator: Literal[".", "/"] | None = None,
) -> StoredDataset:
    """Make a dataset, or open the one that is there if it is the same; open for writing.

    Parameters
    ----------
    store
        As in `open_dataset`, but no array-like. A path that does not exist is made.
    path
        Of the dataset in the store; groups that lead to it are made.
    shape
        In voxels, channels included.
    dtype
        Type of a voxel.
    geometry
        Where the data lie in the world; written as `write_geometry` does.
    chunks
        In voxels. By default at most 1 MiB, and cut so that no two blocks share a chunk.
    shards
        In voxels, multiples of ``chunks``; for zarr format 3.
    block
        Shape that is written at a time, from which the default of ``chunks`` follows.
    compression
        None, ``"gzip"`` or its level from 0 to 9; for HDF5 also ``"lzf"`` and ``"szip"``, for zarr
        also ``"zstd"`` and ``"blosc"``, for N5 these and ``"bzip2"`` and ``"xz"``. Precomputed has
        none but ``"compressed_segmentation"``, TIFF none; folders of images have ``"png"``. A level
        stands behind a colon, as in ``"zstd:3"``, and so does what blosc uses: ``"blosc:lz4"``,
        ``"blosc:zstd:5"``.
    fill_value
        What voxels that were never written are said to be.
    attrs
        More attributes.
    exist
        What to do if the dataset exists: ``"open"`` it if shape, dtype and geometry are the same,
        ``"error"``, or ``"overwrite"``.
    missing_chunks
        What reading a chunk back that was never written means, as in `open_dataset`.
    format
        Of a new file, one of `voxflow.stores.Format`. By default what stands before it
        (``"n5://..."``) or its suffix tells, or else it is HDF5.
    zarr_format
        Of a new zarr store. By default 2, which most tools read, or 3 where shards are asked for.
        Within an existing store it is the store's.
    separator
        What stands between the numbers of a chunk of zarr: ``"/"`` puts them into folders. By
        default ``"."`` in format 2, ``"/"`` in format 3.

    Raises
    ------
    OutputMismatch
        If the dataset exists and differs (all differences are listed), or with ``exist="error"``.
    StoreError
        If the format cannot do what is asked for, or the geometry cannot be written exactly.
    """
    parse_choice("exist", exist, ("open", "error", "overwrite"))
    place = locate(store, path, format)
    shape = tuple(int(extent) for extent in shape)
    dtype = np.dtype(dtype)
    grid = _parse_grid(place, shape, dtype, chunks, shards, block)
    parse_compression(compression)
    written = {**(geometry_attrs(geometry) if geometry else {}), **(attrs or {})}
    if not _may_create(place, shape, dtype, geometry, exist):
        return _reopen(place, missing_chunks)
    with disk_errors(f"{place.store}:{place.path}", "made"):
        driver_of(place.kind).create(
            place.store,
            place.path,
            chunks=grid[0],
            shards=grid[1],
            zarr_format=zarr_format,
            separator=separator,
            geometry=geometry,
            shape=shape,
            dtype=dtype,
            compression=compression,
            fill_value=fill_value,
            attrs=written,
        )
    return _reopen(place, missing_chunks)


def delete_dataset(store: Any, path: str, *, format: Format | None = None) -> bool:
    """Delete a dataset, if there is one; a group stays.

    Parameters
    ----------
    store, path, format
        As for `create_dataset`.

    Returns
    -------
    bool
        Whether there was one.
    """
    place = locate(store, path, format)
    driver = driver_of(place.kind)
    try:
        driver.open(place.store, place.path, "r", "error", None)
    except (StoreNotFound, DatasetNotFound):
        return False
    driver.delete(place.store, place.path)
    return True


_Grid = tuple[tuple[int, ...], tuple[int, ...] | None]


def _reopen(place: Place, missing_chunks: MissingChunks) -> StoredDataset:
    # Not by `open_dataset`, which would tell the format once more.
    return driver_of(place.kind).open(place.store, place.path, "r+", missing_chunks, None)


def _parse_grid(
    place: Place,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    chunks: Sequence[int] | None,
    shards: Sequence[int] | None,
    block: Sequence[int] | None,
) -> _Grid:
    """Check the sizes that are given, and choose those that are not."""
    if place.kind == "array":
        raise TypeError(
            f"a dataset is made in a file or store, not in {type(place.store).__name__}"
        )
    if place.kind == "hdf5" and not place.path:
        raise ValueError(f"{place.store}: a dataset in an HDF5 file needs a path, got none")
    if place.kind != "zarr" and shards is not None:
        names = {"hdf5": "HDF5", "precomputed": "sharded precomputed is only read: what is made"}
        known = names.get(place.kind, place.kind)
        raise StoreError(f"{place.store}: {known} has no shards; use zarr, or leave them out")
    for name, sizes in (("chunks", chunks), ("shards", shards), ("block", block)):
        if sizes is not None and (len(sizes) != len(shape) or any(size < 1 for size in sizes)):
            raise ValueError(
                f"{name} {tuple(sizes)} do not fit shape {shape}: needed is one positive size "
                f"for each of its {len(shape)} axes"
            )
    if chunks is None:
        chunks = default_chunks(shape, dtype.itemsize, shards or block)
    whole = None if shards is None else tuple(int(size) for size in shards)
    if whole and any(size % chunk for size, chunk in zip(whole, chunks, strict=True)):
        raise ValueError(f"shards {whole} are not multiples of the chunks {tuple(chunks)}")
    return tuple(int(size) for size in chunks), whole


def _may_create(
    place: Place,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    geometry: Geometry | None,
    exist: Exist,
) -> bool:
    """Say whether the dataset is to be made: False if it is there and the same."""
    try:
        existing = driver_of(place.kind).open(place.store, place.path, "r", "error", None)
    except (StoreNotFound, DatasetNotFound) as error:
        _refuse_group(place, error)
        return True
    if exist == "overwrite":
        del existing
        driver_of(place.kind).delete(place.store, place.path)
        return True
    if exist == "error":
        raise OutputMismatch(f"{existing.uri} exists: {_REMEDIES}")
    differences = _differences(existing, shape, dtype, geometry)
    if differences:
        listed = "".join(f"\n  {line}" for line in differences)
        raise OutputMismatch(
            f"{existing.uri} exists and is not what is to be written:{listed}\n{_REMEDIES}"
        )
    return False


_REMEDIES = "write to another dataset or file, delete this one, or overwrite it (exist='overwrite')"


def _refuse_group(place: Place, error: Exception) -> None:
    if "is a group" in str(error):
        raise OutputMismatch(
            f"{place.store}: {place.path!r} is a group, which no dataset can take the place of: "
            "write to another dataset or file"
        ) from None


def _differences(
    existing: StoredDataset, shape: tuple[int, ...], dtype: np.dtype[Any], geometry: Geometry | None
) -> list[str]:
    pairs: list[tuple[str, Any, Any]] = [
        ("shape", existing.shape, shape),
        ("dtype", existing.dtype, dtype.newbyteorder("=")),
    ]
    if geometry is not None:
        try:
            found = read_geometry(existing)
            pairs.append(("voxel size", found.voxel_size, geometry.voxel_size))
            pairs.append(("offset", found.offset, geometry.offset))
        except MetadataMissing:
            pairs.append(("voxel size", "not stated", geometry.voxel_size))
    return [
        f"{name}: is {there}, wanted {wanted}" for name, there, wanted in pairs if there != wanted
    ]
