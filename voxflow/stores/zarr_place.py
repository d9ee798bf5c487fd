"""Where zarr data are kept: stores made of paths, URLs and objects, and what is in them."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import zarr
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ZipStore

from voxflow.stores.base import Mode
from voxflow.stores.errors import ReadOnly, StoreNotFound
from voxflow.stores.remote import SCHEMES, is_url
from voxflow.stores.zarr_url import UrlStore

__all__ = ["describe_store", "group_attrs_above", "open_store", "root_format", "zarr_names"]


def open_store(store: Any, mode: Mode) -> Any:
    """Make zarr's store of what the user named; a path has to exist.

    Raises
    ------
    StoreNotFound
        If there is no such file or directory.
    ReadOnly
        If it cannot be written to, but should be.
    """
    read_only = mode == "r"
    if isinstance(store, (str, os.PathLike)):
        return _open_path(os.fspath(store), read_only)
    if isinstance(store, dict):
        store = MemoryStore(store)
    if store.read_only and not read_only:
        raise ReadOnly(f"the store {store} is read-only")
    if read_only and not store.read_only:
        return store.with_read_only(True)
    return store


def _open_path(path: str, read_only: bool) -> Any:
    if path.startswith(SCHEMES):
        return UrlStore(path, read_only=read_only)
    if is_url(path):
        return FsspecStore.from_url(path, read_only=read_only)
    if not os.path.exists(path):
        raise StoreNotFound(f"there is no file or directory {path}")
    if os.path.isfile(path) and zipfile.is_zipfile(path):
        if not read_only:
            raise ReadOnly(
                f"{path} is a zip file: those are only read here, because what is once written "
                "into one cannot be replaced"
            )
        return ZipStore(Path(path), mode="r")
    if not read_only and not os.access(path, os.W_OK):
        raise ReadOnly(f"{path} cannot be written to: check its permissions")
    return LocalStore(path, read_only=read_only)


def describe_store(store: Any) -> str:
    """Name a store in messages: its path, or what it is."""
    if isinstance(store, (str, os.PathLike)):
        return os.fspath(store)
    root = getattr(store, "root", None) or getattr(store, "path", None)
    return str(root) if root else f"<{type(store).__name__}>"


def root_format(store: Any) -> int | None:
    """Give the zarr format (2 or 3) of the root of a store; None if there is nothing yet."""
    try:
        node = zarr.open(store=store, mode="r")
    except FileNotFoundError:
        return None
    return int(node.metadata.zarr_format)


def group_attrs_above(store: Any, path: str, mode: Mode) -> list[tuple[str, Any]]:
    """Open the groups above a path, nearest first, each with the path from there."""
    opened = open_store(store, mode)
    parts = path.split("/") if path else []
    found = []
    for i in range(len(parts) - 1, -1, -1):
        try:
            group = zarr.open_group(store=opened, path="/".join(parts[:i]), mode=mode)
        except FileNotFoundError:
            continue
        found.append(("/".join(parts[i:]), group))
    return found


def zarr_names(store: Any) -> list[str]:
    """List the arrays of a store; the root itself is ``""``."""
    try:
        root = zarr.open(store=open_store(store, "r"), mode="r")
    except FileNotFoundError:
        return []
    if isinstance(root, zarr.Array):
        return [""]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's, about other files that lie around in there
        members = root.members(max_depth=None)
    return sorted(name for name, node in members if isinstance(node, zarr.Array))
