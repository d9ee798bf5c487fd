"""Open datasets, whatever they are kept in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.base import Attrs, MissingChunks, Mode, StoredDataset, parse_choice
from voxflow.stores.drivers import Level, driver_of
from voxflow.stores.errors import DatasetNotFound
from voxflow.stores.memory import ArrayDataset
from voxflow.stores.place import Format, Place, locate

__all__ = ["list_datasets", "list_levels", "open_attrs", "open_dataset"]


def open_dataset(
    store: Any,
    path: str = "",
    mode: Mode = "r",
    *,
    level: int | None = None,
    voxel_size: Sequence[Any] | None = None,
    missing_chunks: MissingChunks = "error",
    locking: bool | str | None = None,
) -> StoredDataset:
    """Open a dataset that exists.

    Parameters
    ----------
    store
        A file, directory or URL, of any `voxflow.stores.Format`: told by what is there, not by the
        suffix. Of a URL, a suffix (``.n5``) or what stands before it (``"n5://https://..."``)
        tells, else it is Zarr. Or an open h5py or zarr object, a dict that holds a zarr store, or
        an array-like: numpy, dask, tensorstore, anything with ``shape``, ``dtype`` and
        ``__getitem__``.
    path
        Of the dataset in the store; for an array-like, its name in messages.
    mode
        ``"r"``: nothing of the store is changed, and it may be read-only. ``"r+"``: for writing,
        too.
    level
        Of the pyramid at the path, counted from the finest, 0.
    voxel_size
        Take the level of this voxel size, in world units.
    missing_chunks
        What reading a chunk that is not stored means: ``"error"``, or ``"fill"`` for the dataset's
        fill value.
    locking
        HDF5's file locking: True, False, ``"best-effort"``, None for HDF5's default.

    Raises
    ------
    StoreNotFound, StoreUnusable, ReadOnly
        If the file is not there, not of a known format, locked, or not writable.
    StoreUnreachable
        If a server does not answer.
    DatasetNotFound
        If the dataset or the level is not there; the message lists those that are.
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
    if level is not None or voxel_size is not None:
        place = Place(place.kind, place.store, _pick(place, level, voxel_size))
    if place.kind == "array":
        return ArrayDataset(store, mode, name=place.path or None)
    return driver_of(place.kind).open(place.store, place.path, mode, missing_chunks, locking)


def list_levels(store: Any, path: str = "") -> list[Level]:
    """List the levels of a pyramid, finest first: the path and voxel size of each.

    Parameters
    ----------
    store
        As in `open_dataset`.
    path
        Of a group of OME-Zarr or N5, or what is precomputed, or a KNOSSOS data set.

    Returns
    -------
    list
        Empty if there is no pyramid.
    """
    place = locate(store, path)
    return [] if place.kind == "array" else list(driver_of(place.kind).levels(*_at(place)))


def _at(place: Place) -> tuple[Any, str]:
    return place.store, place.path


def _pick(place: Place, level: int | None, voxel_size: Sequence[Any] | None) -> str:
    """The path of the level that is wanted.

    Raises
    ------
    ValueError
        If both are given.
    DatasetNotFound
        If there is none such.
    """
    if level is not None and voxel_size is not None:
        raise ValueError("a level is picked by level= or by voxel_size=, not by both")
    there = [] if place.kind == "array" else list(driver_of(place.kind).levels(*_at(place)))
    if level is not None and 0 <= level < len(there):
        return there[level].path
    if voxel_size is not None:
        size = Coordinate(voxel_size)
        for entry in there:
            if entry.voxel_size == size:
                return entry.path
    wanted = f"level {level}" if voxel_size is None else f"level of voxel size {size}"
    listed = ", ".join(f"{i}: {entry.voxel_size}" for i, entry in enumerate(there))
    raise DatasetNotFound(
        f"{place.store}:{place.path} has no {wanted}, "
        + (f"its levels are {listed}" if there else "because it is not a pyramid")
    )


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
    return driver_of(place.kind).attrs(place.store, place.path, mode)


def list_datasets(store: Any) -> list[str]:
    """List the paths of all datasets in a store, sorted; a root that is a dataset is ``""``."""
    place = locate(store, "")
    if place.kind == "array":
        return [""]
    names = driver_of(place.kind).names(place.store)
    above = f"{place.path}/" if place.path else ""
    return sorted(
        name[len(above) :] for name in names if name.startswith(above) or name == place.path
    )
