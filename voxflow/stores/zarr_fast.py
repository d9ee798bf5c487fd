"""Zarr arrays in directories and at URLs, read and written by tensorstore.

It reads and writes a chunk in a fraction of the time that zarr takes, most of all where chunks are
small. Metadata, parts of chunks, writing to URLs, and all other kinds of stores are left to zarr.
"""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

from voxflow.stores.remote import (
    SCHEMES,
    explain,
    in_home,
    is_lost,
    is_url,
    join,
    kvstore_spec,
    make_context,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from voxflow.stores.base import MissingChunks, Mode
    from voxflow.stores.pool import ChunkPool

__all__ = ["QuickArray", "quick_array"]

_DRIVERS = {2: "zarr", 3: "zarr3"}


class QuickArray:
    """Reads and writes regions of one array; opened at its first use in each process.

    A chunk (or shard) is replaced as a whole: its file is written under another name, and renamed.
    So whenever a process is killed, there is the old chunk or the new one. A file whose name ends
    in ``.__lock`` may be left then, which nobody reads.

    Parameters
    ----------
    folder
        or URL of the array.
    driver
        tensorstore's name of the format.
    missing
        what a chunk means that is not there.
    writes
        whether it is written to.
    """

    def __init__(self, folder: str, driver: str, missing: MissingChunks, writes: bool) -> None:
        self._folder, self._driver, self._fill = folder, driver, missing == "fill"
        self._writes = writes
        self._keeps: Any = None  # tensorstore's context, if it keeps decoded chunks
        self._opened: tuple[int, Any] = (-1, None)
        self._ahead: tuple[Any, Any] = (None, None)  # a region, and what will have it
        self._usable = True

    def keeping(self, pool: ChunkPool) -> QuickArray | None:
        """The same for reading, with decoded chunks kept; None if nothing can be kept here."""
        if is_url(self._folder) or not in_home():
            return None
        kept = copy.copy(self)
        kept._keeps, kept._writes, kept._opened = pool.context, False, (-1, None)
        kept._ahead = (None, None)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": (-1, None), "_ahead": (None, None)}

    def read_ahead(self, region: tuple[slice, ...]) -> None:
        """Begin to read a region, if what is decoded is kept: then a wrong guess is no loss."""
        store = self._store() if self._keeps is not None else None
        if store is not None:
            self._ahead = region, store[region].read()

    def read(self, region: tuple[slice, ...]) -> NDArray[Any] | None:
        """A region; None if this reader cannot have it, for whatever reason."""
        store = self._store()
        if store is None:
            return None
        (guess, ahead), self._ahead = self._ahead, (None, None)
        try:
            data: NDArray[Any]
            if guess == region:
                data = ahead.result()
                return data
            part = store[region]
            nbytes = part.size * part.dtype.numpy_dtype.itemsize
            data = wait_for(part.read(), self._folder, nbytes)
        except ValueError as error:  # a chunk is not there, or broken
            if is_lost(error):
                raise explain(error, self._folder, "read") from error
            return None
        return data

    def begin_write(
        self, region: tuple[slice, ...], data: NDArray[Any], uri: str
    ) -> Callable[[], None] | None:
        """Begin to write whole chunks, of native byte order, and give what waits for it.

        None: it is left to zarr.
        """
        store = self._store() if self._writes else None
        if store is None:
            return None
        # What is written is not kept, so that nobody looks at the data once it is done.
        try:
            future = store[region].write(data, can_reference_source_data_indefinitely=True)
        except ValueError as error:
            raise explain(error, uri, "written") from error

        def wait() -> None:
            try:
                wait_for(future, self._folder, data.nbytes)
            except ValueError as error:
                raise explain(error, uri, "written") from error

        return wait

    def _store(self) -> Any:
        if not self._usable or not in_home():  # in a fork, zarr does it
            return None
        pid, store = self._opened
        if pid != os.getpid():
            store = self._open()
            self._usable = store is not None
            self._opened = os.getpid(), store
        return store

    def _open(self) -> Any:
        import tensorstore

        spec: dict[str, Any] = {
            "driver": self._driver,
            "kvstore": kvstore_spec(self._folder),
            "fill_missing_data_reads": self._fill,
            "store_data_equal_to_fill_value": True,
        }
        if self._keeps is not None:
            spec["recheck_cached_data"] = False
        context = make_context() if self._keeps is None else self._keeps
        how = {"read": True, "write": self._writes, "context": context}
        try:
            return wait_for(tensorstore.open(spec, open=True, **how), self._folder)
        except ValueError as error:  # a codec or type that it does not know
            if is_lost(error):
                raise explain(error, self._folder, "read") from error
            return None


def quick_array(
    store: Any, path: str, array: Any, missing: MissingChunks, mode: Mode
) -> QuickArray | None:
    """What stands for zarr's array, if it lies in a directory or at a URL of known kind."""
    if not isinstance(store, (str, os.PathLike)):
        return None
    root = os.fspath(store)
    is_folder = os.path.isdir(root)
    if not is_folder and not (is_url(root) and root.startswith(SCHEMES)):
        return None
    driver = _DRIVERS.get(int(array.metadata.zarr_format))
    if driver is None or array.dtype.kind not in "biuf" or not array.ndim:
        return None
    return QuickArray(join(root, path), driver, missing, mode == "r+" and is_folder)
