"""Open HDF5 files: one handle a file and process, opened late and never inherited by a fork.

An HDF5 handle that two processes share is read wrongly or breaks the file. So all files are closed
right before this process forks, and both sides open them again at their next use. In between, a
file is open for writing only as long as something here wants to write to it, because that keeps
other processes out.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any

# Imported first: h5py takes its global lock before a fork, and has to take it after our hooks ran.
import h5py

from voxflow.stores.errors import ReadOnly, StoreNotFound, StoreUnusable

__all__ = ["FileHandle", "close_all", "get_handle"]


class FileHandle:
    """One HDF5 file as this process sees it; get it from `get_handle`.

    Parameters
    ----------
    path
        Absolute path without links.
    locking
        HDF5's file locking: True, False, ``"best-effort"``, or None for what the environment
        variable ``HDF5_USE_FILE_LOCKING`` says.

    Attributes
    ----------
    generation
        Counts how often the file was opened: objects of an earlier opening are dead.
    identity
        What tells the file that was opened last from one that has taken its place.
    """

    def __init__(self, path: str, locking: bool | str | None = None) -> None:
        self.path = path
        self.locking = locking
        self.generation = 0
        self.identity: tuple[int, int] | None = None
        self.lock = threading.RLock()
        self._file: Any = None
        self._busy = 0
        self._writers: set[object] = set()

    @property
    def replaced(self) -> bool:
        """Whether it is open, and another file has taken its place."""
        with self.lock:
            return bool(self._file) and _identity(self.path) not in (None, self.identity)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """Give the open file to this thread alone."""
        with self.lock:
            if self._busy == 0:
                self._open()
            self._busy += 1
            try:
                yield self._file
            finally:
                self._busy -= 1

    def add_writer(self, user: object) -> None:
        """Keep the file open for writing from now until ``user`` is gone."""
        token = object()
        self._writers.add(token)
        weakref.finalize(user, _drop_writer, weakref.ref(self), token)
        try:
            with self.opened():
                pass
        except BaseException:
            self._writers.discard(token)
            raise

    def close(self) -> None:
        """Close the file; its next use opens it again."""
        with self.lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def create(self) -> None:
        """Make an empty file where there is none, and the directories that lead to it."""
        with self.lock:
            if not os.path.exists(self.path):
                os.makedirs(os.path.dirname(self.path), exist_ok=True)
                with contextlib.suppress(FileExistsError):  # another process was quicker
                    h5py.File(self.path, "x", locking=self.locking).close()

    def drop_writer(self, token: object) -> None:
        """Let the file go when the last writer has gone.

        Runs in a finalizer, hence at any moment, in any thread: it never waits, and leaves a file
        that is in use to its next user.
        """
        self._writers.discard(token)
        if not self._writers and self.lock.acquire(blocking=False):
            try:
                if self._busy == 0:
                    self.close()
            finally:
                self.lock.release()

    def _open(self) -> None:
        """Open the file in the mode that is needed now."""
        mode = "r+" if self._writers else "r"
        if self._file is not None and self._file and self._file.mode == mode:
            return
        self.close()
        there = _identity(self.path)
        try:
            self._file = h5py.File(self.path, mode, locking=self.locking)
        except OSError as error:
            raise _explain(error, self.path, mode) from error
        self.identity = there
        self.generation += 1

    def __del__(self) -> None:
        # The last dataset is gone. While Python shuts down, h5py may be gone before, and so may
        # all that this module has imported.
        try:
            if self._file is not None:
                self._file.close()
        except Exception:
            pass


def _identity(path: str) -> tuple[int, int] | None:
    """What tells a file from another one that has taken its place; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _drop_writer(handle: weakref.ref[FileHandle], token: object) -> None:
    alive = handle()
    if alive is not None:
        alive.drop_writer(token)


def _explain(error: OSError, path: str, mode: str) -> OSError:
    """Say in plain words why HDF5 could not open a file."""
    text = str(error)
    if not os.path.exists(path):
        return StoreNotFound(f"there is no file {path}")
    if os.path.isdir(path):
        return StoreUnusable(f"{path} is a directory, not an HDF5 file")
    if "already open for read-only" in text:
        return StoreUnusable(
            f"{path} cannot be opened for writing: this program has it open for reading in an "
            "h5py.File of its own. Close that first"
        )
    if "unable to lock file" in text:
        what = "writing" if mode == "r" else "reading or writing"
        return StoreUnusable(
            f"{path} is locked: another process has it open for {what}. Wait until it has closed "
            "the file; if those are workers of this program, which read what it writes, write to "
            "another file or to Zarr. On a file system without locks (NFS, Lustre), pass "
            "locking=False or set HDF5_USE_FILE_LOCKING=FALSE"
        )
    if not h5py.is_hdf5(path) and os.access(path, os.R_OK):
        return StoreUnusable(f"{path} is not an HDF5 file, or is damaged ({text})")
    if mode == "r+" and not os.access(path, os.W_OK):
        return ReadOnly(f"{path} cannot be written to: check its permissions ({text})")
    return StoreUnusable(f"{path} cannot be opened ({text})")


_handles: weakref.WeakValueDictionary[str, FileHandle] = weakref.WeakValueDictionary()
_all: weakref.WeakSet[FileHandle] = weakref.WeakSet()  # also of files that were replaced
_registry = threading.RLock()
_held: list[FileHandle] = []


def get_handle(path: str | os.PathLike[str], locking: bool | str | None = None) -> FileHandle:
    """Give this process' handle of a file; all users of a file share it.

    Where another file has taken its place, who has the old one open goes on with that. It is closed
    when the last one lets go of it. ``locking`` counts from the next opening.
    """
    real = os.path.realpath(path)
    with _registry:
        handle = _handles.get(real)
        if handle is None or handle.replaced:
            handle = _handles[real] = FileHandle(real, locking)
            _all.add(handle)
        elif locking is not None:
            handle.locking = locking
        return handle


def close_all() -> None:
    """Close every HDF5 file that voxflow holds open in this process.

    Datasets stay usable: their next use opens the file again.
    """
    with _registry:
        for handle in list(_all):
            handle.close()


def _before_fork() -> None:
    """Wait for reads that are under way, close all files, and hold the locks over the fork."""
    _registry.acquire()
    for handle in list(_all):
        handle.lock.acquire()
        _held.append(handle)
        handle.close()


def _after_fork() -> None:
    while _held:
        _held.pop().lock.release()
    _registry.release()


# Not on systems that cannot fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
