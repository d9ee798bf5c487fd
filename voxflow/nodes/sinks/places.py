"""Where datasets of a writer are, and who may write to them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from voxflow.stores.file_lock import lock_file
from voxflow.stores.place import locate

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey
    from voxflow.stores.place import Format

MANIFEST = "manifest.json"
"""The file in the folder of notes that says which job wrote a dataset."""

LOCK = "lock"
"""The file there that a scan holds while it is at work."""

_IN_FOLDERS = ("zarr", "n5", "precomputed")
_HERE = "file://"


class Output(NamedTuple):
    """One dataset that is written.

    Parameters
    ----------
    key
        The array.
    store, path
        As given to `voxflow.stores.open_dataset`.
    location
        The folder of the dataset (Zarr, N5, precomputed, images), or the file that it is in (HDF5,
        TIFF), absolute; None: it is in memory or at a URL.
    record
        The folder for notes about how it was made: in its own folder, or beside the file. None
        where there is no location.
    """

    key: ArrayKey
    store: Any
    path: str
    location: str | None
    record: Path | None

    def __str__(self) -> str:
        return f"{describe(self.store)}:{self.path}"


def output(key: ArrayKey, store: Any, path: str, kind: Format | None = None) -> Output:
    """Describe one dataset that is written."""
    where = location(store, path, kind)
    record = None
    if where is not None:
        folder = locate(store, path, kind).kind in (*_IN_FOLDERS, "images")
        folder = folder and not os.path.isfile(where)
        record = Path(where, ".scan") if folder else Path(f"{where}.scan", path)
    return Output(key, store, path, where, record)


def has_job(record: Path) -> bool:
    """Whether notes say which job wrote a dataset."""
    return (record / MANIFEST).exists()


def forget_job(record: Path) -> None:
    """Take back that a job wrote a dataset, as it is gone; not while a scan is at it.

    Parameters
    ----------
    record
        The folder for notes about how it was made.
    """
    file = os.open(record / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if lock_file(file):
            (record / MANIFEST).unlink(missing_ok=True)
    finally:
        os.close(file)


def identity(store: Any, path: str) -> str:
    """One text for one dataset, by whatever path or URL it is named, or group or file.

    Examples
    --------
    >>> identity("a.zarr/volumes", "raw") == identity("./a.zarr", "volumes/raw")
    True
    """
    place = locate(store, path)
    return f"{_where(place.store)}/{place.path}"


def folder_of(store: Any) -> str:
    """The same for all that is in a store, or in a part of it; what is below begins with it."""
    # Of a path, the format says nothing new, and finding it out takes a look at what is there.
    place = locate(store, "", "hdf5" if isinstance(store, str | os.PathLike) else None)
    return f"{_where(place.store)}/{place.path}".rstrip("/") + "/"


def _where(store: Any) -> str:
    root = _root(store) or getattr(store, "root", None)  # of zarr's store at a URL
    if root is None:
        return f"{type(store).__name__} {id(store)}"
    where = str(root).removeprefix(_HERE)
    return where if "://" in where else os.path.realpath(where)


def location(store: Any, path: str, kind: Format | None = None) -> str | None:
    """The folder or file of a dataset on a disk of this machine; None if it is on none."""
    place = locate(store, path, kind)
    root = _root(place.store)
    if root is None or "://" in root:
        return None
    inside = place.kind in (*_IN_FOLDERS, "images")
    return os.path.abspath(os.path.join(root, place.path) if inside and place.path else root)


def written_in_parallel(store: Any, kind: Format | None = None) -> bool:
    """Whether several processes can write at once, to different chunks: each is a file then."""
    place = locate(store, "", kind)
    if place.kind not in _IN_FOLDERS:
        return False
    root = _root(place.store)
    if root is None:  # in memory, else
        return type(place.store).__name__ == "FsspecStore"
    return not (os.path.isfile(root) and zipfile.is_zipfile(root))


def _root(store: Any) -> str | None:
    if isinstance(store, str | os.PathLike):
        return os.fspath(store)
    if type(store).__name__ == "LocalStore":
        return str(store.root)
    return None


def describe(store: Any) -> str:
    """Name a store in messages."""
    root = _root(store)
    return root if root is not None else f"<{type(store).__name__}>"
