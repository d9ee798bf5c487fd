"""Zarr arrays in directories, read by tensorstore.

It reads a chunk in a fraction of the time that zarr takes, most of all where chunks are small.
Metadata, writing, and all other kinds of stores are left to zarr.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.workers.limits import available_cpus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.base import MissingChunks

__all__ = ["QuickReader", "quick_reader"]

_DRIVERS = {2: "zarr", 3: "zarr3"}

# The process that uses tensorstore, whose threads a fork does not have: there, zarr reads.
_home: int | None = None


class QuickReader:
    """Reads regions of one array; opened at its first use in each process.

    Parameters
    ----------
    folder
        of the array.
    driver
        tensorstore's name of the format.
    missing
        what a chunk means that is not there.
    """

    def __init__(self, folder: str, driver: str, missing: MissingChunks) -> None:
        self._folder, self._driver, self._fill = folder, driver, missing == "fill"
        self._opened: tuple[int, Any] = (-1, None)
        self._usable = True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": (-1, None)}

    def read(self, region: tuple[slice, ...]) -> NDArray[Any] | None:
        """A region; None if this reader cannot have it, for whatever reason."""
        global _home
        _home = _home or os.getpid()
        if not self._usable or _home != os.getpid():
            return None
        store = self._store()
        if store is None:
            self._usable = False
            return None
        try:
            data: NDArray[Any] = store[region].read().result()
        except ValueError:  # a chunk is not there, or broken
            return None
        return data

    def _store(self) -> Any:
        pid, store = self._opened
        if pid != os.getpid():
            store = _open(self._folder, self._driver, self._fill)
            self._opened = os.getpid(), store
        return store


def _open(folder: str, driver: str, fill: bool) -> Any:
    import tensorstore

    threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or available_cpus()
    context = tensorstore.Context(
        {
            "cache_pool": {"total_bytes_limit": 0},  # chunks are kept by whoever reads through us
            "data_copy_concurrency": {"limit": threads},
            "file_io_concurrency": {"limit": threads},
        }
    )
    spec = {
        "driver": driver,
        "kvstore": {"driver": "file", "path": folder},
        "fill_missing_data_reads": fill,
    }
    try:
        return tensorstore.open(spec, read=True, open=True, context=context).result()
    except ValueError:  # a codec or type that it does not know
        return None


def quick_reader(store: Any, path: str, array: Any, missing: MissingChunks) -> QuickReader | None:
    """A reader for zarr's array, if it lies in a directory of the file system."""
    if not isinstance(store, (str, os.PathLike)) or not os.path.isdir(store):
        return None
    driver = _DRIVERS.get(int(array.metadata.zarr_format))
    if driver is None or array.dtype.kind not in "biuf" or not array.ndim:
        return None
    return QuickReader(os.path.join(os.fspath(store), path, ""), driver, missing)
