"""Which files a path names: one file, a container, or a folder of snapshots."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voxflow.stores import StoreNotFound
from voxflow.stores.images import natural_order
from voxflow.stores.names import split_name

__all__ = ["Container", "Paths", "find_all", "find_containers", "listed"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""One path or several."""

_CONTAINERS = (".zarr", ".n5", ".precomputed", ".hdf", ".h5", ".hdf5", ".he5")
_FILES = (".hdf", ".h5", ".hdf5", ".he5", ".zip", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
_MARKS = ("zarr.json", ".zgroup", ".zarray", "attributes.json", "info", "stack.json")
_KNOSSOS = ("knossos.conf", "mag1")
_SNAPSHOTS = "snapshots"


@dataclass(frozen=True)
class Container:
    """A file, folder or URL with datasets.

    Parameters
    ----------
    store
        As `voxflow.stores.open_dataset` takes it.
    path
        Of the group or dataset in it that is meant; ``""`` for all.
    """

    store: str
    path: str = ""

    @property
    def name(self) -> str:
        """For people: the store, and the path behind a colon."""
        return f"{self.store}:{self.path}" if self.path else self.store


def find_containers(path: str | os.PathLike[str]) -> list[Container]:
    """Find what a path names.

    Parameters
    ----------
    path
        A file, folder or URL of any format of `voxflow.stores`; a path in a file behind ``:`` or
        ``/``, as in ``a.hdf:volumes/raw``; a folder of such files, or of a run with a folder
        ``snapshots``.

    Returns
    -------
    list
        In natural order of their names: 9 comes before 10.

    Raises
    ------
    StoreNotFound
        If there is nothing.

    Examples
    --------
    >>> find_containers("s3://bucket/a.zarr/raw")
    [Container(store='s3://bucket/a.zarr/raw', path='')]
    """
    name = os.fspath(path)
    if "://" in name:
        return [Container(*split_name(name))]
    if os.path.isdir(name):
        return _in_folder(name)
    if os.path.exists(name):
        return [Container(name)]
    return [_inside(name)]


def listed(paths: Paths) -> list[str | os.PathLike[str]]:
    """One path or several as a list.

    >>> listed("a.zarr"), listed(("a.zarr", "b.hdf"))
    (['a.zarr'], ['a.zarr', 'b.hdf'])
    """
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def find_all(paths: Paths) -> list[Container]:
    """Find what several paths name; see `find_containers`.

    Raises
    ------
    StoreNotFound
        If there is nothing at a path, or no path.
    """
    found = [container for path in listed(paths) for container in find_containers(path)]
    if not found:
        raise StoreNotFound("there is nothing to show: give a path")
    return found


def _inside(name: str) -> Container:
    """A path that leads into a file, or behind a colon into a folder."""
    store, path = split_name(name)
    if not path or not os.path.exists(store):
        raise StoreNotFound(f"there is no file or folder {name}")
    return Container(store, path)


def _in_folder(folder: str) -> list[Container]:
    names = [name for name in os.listdir(folder) if not name.startswith(".") or name in _MARKS]
    if _is_container(folder, names):
        return [Container(folder)]
    inner = sorted((n for n in names if _holds_data(os.path.join(folder, n))), key=natural_order)
    images = [n for n in inner if n.lower().endswith(_FILES[5:])]
    if images and len(images) == len(inner):  # sections of a stack
        return [Container(folder)]
    if inner:
        return [Container(os.path.join(folder, name)) for name in inner]
    if _SNAPSHOTS in names:
        return _in_folder(os.path.join(folder, _SNAPSHOTS))
    raise StoreNotFound(
        f"{folder} is neither a container of arrays nor a folder of such: looked for files and "
        f"folders that end in {', '.join(_CONTAINERS)}, for images, and for a folder {_SNAPSHOTS}"
    )


def _is_container(folder: str, names: list[str]) -> bool:
    if folder.rstrip("/").lower().endswith(_CONTAINERS[:3]):
        return True
    if not set(names).isdisjoint((*_MARKS, *_KNOSSOS)):
        return True
    above = Path(folder).resolve().parents
    return any(part.suffix.lower() in (".zarr", ".n5") for part in above)


def _holds_data(path: str) -> bool:
    if os.path.isdir(path):
        return _is_container(path, os.listdir(path))
    return path.lower().endswith(_FILES)
