"""Where a dataset is kept: which format, which file or store, which path in it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from voxflow.stores.errors import StoreUnusable
from voxflow.stores.memory import is_array_like
from voxflow.stores.names import clean_path

__all__ = ["Format", "Place", "locate", "store_format"]

Format = Literal["hdf5", "zarr", "n5", "precomputed", "tiff", "images", "knossos"]
"""The formats of files: TIFF is one file, images are a folder of them."""

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ZARR_FILES = (".zgroup", ".zarray", "zarr.json")
_ZARR_GROUPS = (".zgroup", "zarr.json")
_SUFFIXES: dict[str, Format] = {
    ".hdf": "hdf5",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".he5": "hdf5",
    ".zarr": "zarr",
    ".zip": "zarr",
    ".n5": "n5",
    ".precomputed": "precomputed",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "images",
    ".jpg": "images",
    ".jpeg": "images",
    ".bmp": "images",
    ".conf": "knossos",
}
_IN_FOLDERS: tuple[Format, ...] = ("zarr", "n5", "precomputed")
IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
"""Files that are sections of a folder of images."""


@dataclass(frozen=True)
class Place:
    """A dataset's place.

    Parameters
    ----------
    kind
        The format, or ``"array"`` for what is no file.
    store
        File name, zarr store, or the array itself.
    path
        Of the dataset in it.
    """

    kind: Format | Literal["array"]
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
    given, path = path, clean_path(path)
    if isinstance(store, (str, os.PathLike)):
        said, name = _split_prefix(os.fspath(store))
        found = kind or said or store_format(name)
        if found != "zarr":
            return Place(found, name, path)
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
        return Place("array", store, given)  # a name, as it is
    raise TypeError(
        "a store is a path, an h5py or zarr object, a dict, or an array-like (with shape, dtype "
        f"and __getitem__); got {type(store).__name__}"
    )


def store_format(path: str | os.PathLike[str]) -> Format:
    """Tell the format of a file: by what is there, else by the suffix, else HDF5 (a URL: Zarr).

    Raises
    ------
    StoreUnusable
        If it is an existing file of an unknown format, or a URL of one that is read from disks
        only.

    Examples
    --------
    >>> store_format("a.zarr"), store_format("s3://bucket/a.n5/"), store_format("n5://a")
    ('zarr', 'n5', 'n5')
    """
    said, name = _split_prefix(os.fspath(path))
    if said is not None:
        return said
    suffix = os.path.splitext(name.rstrip("/"))[1].lower()
    if "://" in name:
        return _format_of_url(name, suffix)
    if os.path.isdir(name):
        return _format_of_folder(name)
    if os.path.isfile(name):
        return _format_of_file(name, suffix)
    if suffix in IMAGE_SUFFIXES and not {"*", "?"}.isdisjoint(name):  # a pattern
        return "images"
    return _SUFFIXES.get(suffix) or _suffix_above(name) or "hdf5"


def _split_prefix(name: str) -> tuple[Format | None, str]:
    """Take off the format that stands before a path or URL, as in neuroglancer."""
    before, mark, rest = name.partition("://")
    if mark and before in get_args(Format):
        return cast("Format", before), rest
    return None, name


def _suffix_above(name: str) -> Format | None:
    """The format of a container that the path leads into."""
    for part in name.replace(os.sep, "/").split("/"):
        kind = _SUFFIXES.get(os.path.splitext(part)[1].lower())
        if kind in _IN_FOLDERS:
            return kind
    return None


def _format_of_url(name: str, suffix: str) -> Format:
    kind = _suffix_above(name) or _SUFFIXES.get(suffix, "zarr")
    if kind not in _IN_FOLDERS:
        raise StoreUnusable(
            f"{name}: {kind} is read from disks only; copy the file, or convert it to one of "
            f"{', '.join(_IN_FOLDERS)}"
        )
    return kind


def _format_of_folder(name: str) -> Format:
    names = set(os.listdir(name))
    if not names.isdisjoint(_ZARR_FILES):
        return "zarr"
    kind = _suffix_above(name)
    if kind is not None:
        return kind
    if "info" in names:
        return "precomputed"
    if "knossos.conf" in names or "mag1" in names:
        return "knossos"
    if "attributes.json" in names:
        return "n5"
    images = "stack.json" in names or any(entry.lower().endswith(IMAGE_SUFFIXES) for entry in names)
    return "images" if images else "zarr"


def _format_of_file(name: str, suffix: str) -> Format:
    if zipfile.is_zipfile(name):
        return "zarr"
    with open(name, "rb") as file:
        start = file.read(len(_HDF5_SIGNATURE))
    # With a user block the signature of HDF5 comes later.
    if start == _HDF5_SIGNATURE or _SUFFIXES.get(suffix) == "hdf5":
        return "hdf5"
    if start[:4] in _TIFF_SIGNATURES or _SUFFIXES.get(suffix) == "tiff":
        return "tiff"
    kind = _SUFFIXES.get(suffix)
    if kind in ("images", "knossos"):
        return kind
    raise StoreUnusable(
        f"{name} is neither an HDF5 file nor a zarr store, nor of another format that is read: "
        f"known are HDF5 files ({_listed('hdf5')}), zarr directories and zip files "
        f"({_listed('zarr')}), TIFF files ({_listed('tiff')}), images ({_listed('images')}), and "
        "directories of N5, precomputed, KNOSSOS and of images"
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
