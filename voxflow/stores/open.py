"""Open datasets, whatever they are kept in."""

from __future__ import annotations

from typing import Any

from voxflow.stores.base import Attrs, MissingChunks, Mode, StoredDataset, parse_choice
from voxflow.stores.memory import ArrayDataset
from voxflow.stores.place import Format, locate

__all__ = ["list_datasets", "open_attrs", "open_dataset"]


def open_dataset(
    store: Any,
    path: str = "",
    mode: Mode = "r",
    *,
    missing_chunks: MissingChunks = "error",
    locking: bool | str | None = None,
) -> StoredDataset:
    """Open a dataset that exists.

    Parameters
    ----------
    store
        A file or directory (HDF5, or zarr as a directory, zip file or URL; told by what is there,
        not by the suffix), an open h5py or zarr object, a dict that holds a zarr store, or an
        array-like: numpy, dask, tensorstore, anything with ``shape``, ``dtype`` and
        ``__getitem__``.
    path
        Of the dataset in the store; for an array-like, its name in messages.
    mode
        ``"r"``: nothing of the store is changed, and it may be read-only. ``"r+"``: for writing,
        too.
    missing_chunks
        What reading a chunk that is not stored means: ``"error"``, or ``"fill"`` for the dataset's
        fill value.
    locking
        HDF5's file locking: True, False, ``"best-effort"``, None for HDF5's default.

    Raises
    ------
    StoreNotFound, StoreUnusable, ReadOnly
        If the file is not there, not of a known format, locked, or not writable.
    DatasetNotFound
        If the dataset is not there; the message lists those that are.
    TypeError
        If ``store`` is none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> open_dataset(np.zeros((3, 4), np.uint8)).shape
    (3, 4)
    """
    parse_choice("mode", mode, ("r", "r+"))
    parse_choice("missing_chunks", missing_chunks, ("error", "fill"))
    place = locate(store, path)
    if place.kind == "array":
        return ArrayDataset(store, mode, name=place.path or None)
    if place.kind == "hdf5":
        from voxflow.stores.hdf5 import Hdf5Dataset

        return Hdf5Dataset(place.store, place.path, mode, missing_chunks, locking)
    from voxflow.stores.zarr import ZarrDataset

    return ZarrDataset(place.store, place.path, mode, missing_chunks)


def open_attrs(
    store: Any, path: str = "", mode: Mode = "r", *, format: Format | None = None
) -> Attrs:
    """Open the attributes of a group (the root by default) or dataset.

    Parameters
    ----------
    store
        A path, or an h5py or zarr object.
    path
        In the store.
    mode
        ``"r"``, or ``"r+"`` for writing; that makes a store and groups where there are none.
    format
        Of a new store, where its suffix does not tell.

    Raises
    ------
    DatasetNotFound
        If there is nothing of that name to read from.
    """
    parse_choice("mode", mode, ("r", "r+"))
    place = locate(store, path, format)
    if place.kind == "array":
        return ArrayDataset(store, mode).attrs
    if place.kind == "hdf5":
        from voxflow.stores.hdf5 import hdf5_attrs

        return hdf5_attrs(place.store, place.path, mode)
    from voxflow.stores.zarr_create import zarr_attrs

    return zarr_attrs(place.store, place.path, mode)


def list_datasets(store: Any) -> list[str]:
    """List the paths of all datasets in a store, sorted; a root that is a dataset is ``""``."""
    place = locate(store, "")
    if place.kind == "array":
        return [""]
    if place.kind == "hdf5":
        from voxflow.stores.hdf5 import hdf5_names

        names = hdf5_names(place.store)
    else:
        from voxflow.stores.zarr_place import zarr_names

        names = zarr_names(place.store)
    above = f"{place.path}/" if place.path else ""
    return sorted(
        name[len(above) :] for name in names if name.startswith(above) or name == place.path
    )
