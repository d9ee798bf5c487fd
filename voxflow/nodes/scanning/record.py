"""What a scan has done so far, on disk beside its output.

A folder with

``manifest.json``
    what the job is: see `voxflow.nodes.scanning.manifest`;
``done-*.log``
    the numbers of the blocks that are done, as they were done, 8 bytes each. Every process appends
    to a file of its own, so that no two write to one file, on whatever file system. What is cut off
    at the end, by a kill, does not count;
``stop``
    why all workers are to stop;
``failed-*.jsonl``, ``health-*.jsonl``
    what went wrong with a block, and what is strange about its values, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import secrets
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.sinks.places import LOCK, MANIFEST
from voxflow.pipeline.engine.workers.failures import Remote, capture
from voxflow.stores import DiskFull, OutputMismatch
from voxflow.stores.disk import disk_errors
from voxflow.stores.file_lock import lock_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Record", "read_manifest", "remove_record", "write_manifest"]

_STOP = "stop"

_TELLING = (MANIFEST, "done-*.log", "failed-*.jsonl", "health-*.jsonl")
_PASSING = ("done-*.partial", f".{MANIFEST}.*", "stop-*.partial", _STOP, LOCK)
_FOLDERS = ("logs", "work")

_NUMBER = np.dtype("<u8")


class Record:
    """Which blocks are done.

    Parameters
    ----------
    folder
        Where it is kept; made when the first thing is written down.
    total
        How many blocks there are.

    Attributes
    ----------
    done
        For each block, whether it is done; bytes. As of the last `refresh`.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> Record(folder, 5).mark_done(3)
    >>> Record(folder, 5).done.tolist()
    [0, 0, 0, 1, 0]
    """

    done: np.ndarray[Any, np.dtype[np.uint8]]

    def __init__(self, folder: str | Path, total: int) -> None:
        self.folder = Path(folder)
        self.done = np.zeros(total, np.uint8)
        self._own = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._log: int | None = None
        self._lock: int | None = None
        self._read: dict[str, int] = {}
        self._elsewhere: set[int] = set()
        self._count = 0
        self.refresh()

    @property
    def count(self) -> int:
        """How many blocks are done, as of the last `refresh`."""
        return self._count

    def lock(self) -> None:
        """Keep others from working on the same job, until `close` or the end of this process.

        Raises
        ------
        OutputMismatch
            If somebody does already.
        """
        if self._lock is not None:
            return
        path = self._place(LOCK)
        with disk_errors(str(self.folder), "written"):
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not lock_file(file):
            who = os.read(file, 200).decode(errors="replace")
            os.close(file)
            raise OutputMismatch(
                f"another scan writes this output at the moment ({who}; {self.folder}). Wait for "
                "it, end it, or write to another file"
            )
        self._lock = file
        with disk_errors(str(self.folder), "written"):
            os.ftruncate(file, 0)
            os.write(file, f"host {socket.gethostname()}, process {os.getpid()}".encode())

    def mark_done(self, number: int) -> None:
        """Note that the data of a block are written."""
        if self._log is None:
            name = self._place(f"done-{self._own}.log")
            self._log = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            _append(self._log, int(number).to_bytes(8, "little"))
        except OSError as error:
            with disk_errors(str(self.folder), "written"):
                raise error
        self._count += not self.done[number]
        self.done[number] = 1

    def note(self, kind: str, entry: Mapping[str, Any]) -> None:
        """Write down what happened to a block.

        Parameters
        ----------
        kind
            "failed" or "health".
        entry
            As JSON can hold it.
        """
        path = self._place(f"{kind}-{self._own}.jsonl")
        with disk_errors(str(self.folder), "written"), open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """All that was written down, by whatever process."""
        for path in sorted(self.folder.glob(f"{kind}-*.jsonl")):
            with open(path) as lines:
                for line in lines:
                    with contextlib.suppress(ValueError):  # cut off by a kill
                        yield json.loads(line)

    def failed_elsewhere(self) -> set[int]:
        """The blocks that failed in other processes."""
        for path in self.folder.glob("failed-*.jsonl"):
            if path.name == f"failed-{self._own}.jsonl":
                continue
            with open(path, "rb") as lines:
                lines.seek(self._read.get(path.name, 0))
                for line in lines:
                    if not line.endswith(b"\n"):  # it is being written
                        break
                    self._read[path.name] = self._read.get(path.name, 0) + len(line)
                    with contextlib.suppress(ValueError):  # cut off by a kill
                        self._elsewhere.add(json.loads(line)["block"])
        return self._elsewhere

    def forget(self, kind: str) -> None:
        """Remove what was written down."""
        for path in self.folder.glob(f"{kind}-*.jsonl"):
            path.unlink()

    def stop(self, error: Remote) -> None:
        """Tell all workers to stop, and why; on a full disk only the first."""
        partial = self._place(f"stop-{self._own}.partial")
        try:
            partial.write_bytes(pickle.dumps(tuple(error)))
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise
            os.truncate(partial, 0)
        partial.replace(self.folder / _STOP)

    def stopped(self) -> Remote | None:
        """Why all workers are to stop; None if they are not."""
        try:
            why = (self.folder / _STOP).read_bytes()
        except FileNotFoundError:
            return None
        if why:
            return Remote(*pickle.loads(why))
        return capture(
            DiskFull(
                f"{self.folder} cannot be written: the disk is full. Make room, and run it again"
            )
        )

    def go(self) -> None:
        """Take back what was told about stopping."""
        (self.folder / _STOP).unlink(missing_ok=True)

    def refresh(self) -> None:
        """Learn which blocks others have done since."""
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.folder):
                if entry.name.startswith("done-") and entry.name.endswith(".log"):
                    self._read_log(entry.name, entry.path)

    def _read_log(self, name: str, path: str) -> None:
        seen = self._read.get(name, 0)
        try:
            size = os.stat(path).st_size // _NUMBER.itemsize
        except FileNotFoundError:
            return
        if size > seen:
            offset = seen * _NUMBER.itemsize
            numbers = np.fromfile(path, _NUMBER, count=size - seen, offset=offset)
            self._add(numbers[numbers < len(self.done)])
            self._read[name] = seen + len(numbers)

    def _add(self, numbers: np.ndarray[Any, Any]) -> None:
        numbers = np.unique(numbers.astype(np.int64))
        self._count += int((self.done[numbers] == 0).sum())
        self.done[numbers] = 1

    def compact(self) -> None:
        """Put all logs into one, as many restarts leave many."""
        logs = sorted(self.folder.glob("done-*.log"))
        if len(logs) < 2:
            return
        whole = self.folder / f"done-{self._own}.log"
        partial = whole.with_suffix(".partial")
        with disk_errors(str(self.folder), "written"):
            partial.write_bytes(np.flatnonzero(self.done).astype(_NUMBER).tobytes())
            partial.replace(whole)
        self._read[whole.name] = int(self._count)
        for path in logs:
            path.unlink(missing_ok=True)

    def _place(self, name: str) -> Path:
        with disk_errors(str(self.folder), "made"):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / name

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._log, self._lock):
            if file is not None:
                os.close(file)
        self._log = self._lock = None


def _append(file: int, entry: bytes) -> None:
    """Append all of it, or nothing: what comes next has to begin where an entry begins."""
    written = os.write(file, entry)
    if written < len(entry):
        os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def remove_record(folder: Path) -> None:
    """Remove a record, or what a kill left of one; other files of the folder stay.

    Raises
    ------
    OutputMismatch
        If a scan works with it at the moment, or it is not the record of a scan.
    """
    read_manifest(folder)
    if not any(_found(folder, *_TELLING)):
        return
    record = Record(folder, 0)
    record.lock()
    try:
        with disk_errors(str(folder), "removed"):
            # First, as without it all else counts for nothing.
            (folder / MANIFEST).unlink(missing_ok=True)
            for path in _found(folder, *_TELLING, *_PASSING):
                path.unlink(missing_ok=True)
            for name in _FOLDERS:
                shutil.rmtree(folder / name, ignore_errors=True)
    finally:
        record.close()
    with contextlib.suppress(OSError):  # there is something else in it
        folder.rmdir()


def _found(folder: Path, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        yield from folder.glob(pattern)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write down what the job is; what was there is replaced at once, or not at all."""
    with disk_errors(str(folder), "written"):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{MANIFEST}.{os.getpid()}"
        partial.write_text(json.dumps(manifest, indent=1))
        partial.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What the job is; None if nothing is written down.

    Raises
    ------
    OutputMismatch
        If what is there was not written by a scan.
    """
    path = folder / MANIFEST
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        found = {}
    if not isinstance(found, dict) or "job" not in found:
        raise OutputMismatch(
            f"{path} is there, and is not the record of a scan; remove it, or give record= another "
            "folder"
        )
    return found
