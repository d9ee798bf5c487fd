"""Where a dataset is kept: which format, which file or store, which path in it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from voxflow.stores.errors import StoreUnusable
from voxflow.stores.memory import is_array_like
from voxflow.stores.names import clean_path

__all__ = ["Format", "Place", "locate", "store_format"]

Format = Literal["hdf5", "zarr"]
"""The formats of files."""

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ZARR_GROUPS = (".zgroup", "zarr.json")
_SUFFIXES: dict[str, Format] = {
    ".hdf": "hdf5",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".he5": "hdf5",
    ".zarr": "zarr",
    ".zip": "zarr",
}


@dataclass(frozen=True)
class Place:
    """A dataset's place.

    Parameters
    ----------
    kind
        ``"hdf5"``, ``"zarr"``, or ``"array"`` for what is no file.
    store
        File name, zarr store, or the array itself.
    path
        Of the dataset in it.
    """

    kind: Literal["hdf5", "zarr", "array"]
    store: Any
    path: str


def locate(store: Any, path: str, kind: Format | None = None) -> Place:
    """Find out what the user named.

    Parameters
    ----------
    store
        A path, an h5py or zarr object, a dict, or an array-like.
    path
        In the store.
    kind
        Take a path for this format, whatever is there.

    Raises
    ------
    TypeError
        If ``store`` is none of these.
    StoreUnusable
        If it is a file of another format.

    Examples
    --------
    >>> locate("a.zarr", "/volumes/raw/")
    Place(kind='zarr', store='a.zarr', path='volumes/raw')
    """
    path = clean_path(path)
    if isinstance(store, (str, os.PathLike)):
        name = os.fspath(store)
        if (kind or store_format(name)) == "hdf5":
            return Place("hdf5", name, path)
        root, above = _zarr_root(name)
        return Place("zarr", root, clean_path(f"{above}/{path}"))
    library = _library(store)
    if library == "h5py":
        return Place("hdf5", _hdf5_file(store), clean_path(f"{store.name or ''}/{path}"))
    if library == "zarr":
        inner = getattr(store, "store", None)  # of a group or array; a store has none
        if inner is not None:
            return Place("zarr", inner, clean_path(f"{store.path}/{path}"))
        return Place("zarr", store, path)
    if isinstance(store, MutableMapping):
        return Place("zarr", store, path)
    if is_array_like(store):
        return Place("array", store, path)
    raise TypeError(
        "a store is a path, an h5py or zarr object, a dict, or an array-like (with shape, dtype "
        f"and __getitem__); got {type(store).__name__}"
    )


def store_format(path: str | os.PathLike[str]) -> Format:
    """Tell the format of a file: by what is there, else by the suffix, else HDF5.

    Raises
    ------
    StoreUnusable
        If it is of a known format that is not read here, or an existing file of an unknown one.
    """
    name = os.fspath(path)
    suffix = os.path.splitext(name.rstrip("/"))[1].lower()
    if suffix == ".n5":
        raise StoreUnusable(
            f"{name} is an N5 container, which zarr 3 does not read any more: open the dataset "
            "with tensorstore and pass that array with its voxel size and offset, or convert it"
        )
    if "://" in name or os.path.isdir(name):
        return "zarr"
    if not os.path.isfile(name):
        inside = any(part.lower().endswith(".zarr") for part in name.split(os.sep))
        return _SUFFIXES.get(suffix, "zarr" if inside else "hdf5")
    if zipfile.is_zipfile(name):
        return "zarr"
    with open(name, "rb") as file:
        is_hdf5 = file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    if is_hdf5 or _SUFFIXES.get(suffix) == "hdf5":  # with a user block the signature comes later
        return "hdf5"
    raise StoreUnusable(
        f"{name} is neither an HDF5 file nor a zarr store: known are HDF5 files "
        f"({_listed('hdf5')}) and zarr directories and zip files ({_listed('zarr')})"
    )


def _listed(kind: Format) -> str:
    return ", ".join(suffix for suffix, known in _SUFFIXES.items() if known == kind)


def _library(store: Any) -> str | None:
    """Say whose class it is, without importing h5py or zarr."""
    for base in type(store).__mro__:
        library = base.__module__.split(".")[0]
        if library in ("h5py", "zarr"):
            return library
    return None


def _zarr_root(path: str) -> tuple[str, str]:
    """Split the path of a group or array into its store and the path in there.

    The store begins at the outermost directory that is called ``.zarr``, or from which groups
    lead down to the path without a gap.
    """
    whole = path.rstrip("/") or path
    root, above, unbroken = whole, os.path.dirname(whole), True
    while "://" not in path and os.path.dirname(above) != above:
        unbroken = unbroken and any(os.path.exists(f"{above}/{file}") for file in _ZARR_GROUPS)
        if unbroken or above.lower().endswith(".zarr"):
            root = above
        above = os.path.dirname(above)
    return root, whole[len(root) + 1 :]


def _hdf5_file(item: Any) -> str:
    """Give the file name of an h5py object, whose file is opened anew under it."""
    file = item.file
    if file.driver != "sec2" or not os.path.isfile(file.filename):
        raise StoreUnusable(
            f"{item!r} is not in a plain file on disk (driver {file.driver!r}): read what you need "
            "of it into an array and pass that"
        )
    return str(file.filename)
