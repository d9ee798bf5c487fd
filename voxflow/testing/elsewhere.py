"""One other process, in which a pipeline is tried once it is pickled."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import subprocess
import sys
import threading
import traceback
from typing import IO, TYPE_CHECKING, Any

from voxflow.pipeline.engine.workers.packing import load_task, pack_task
from voxflow.testing.seen import Seen, seen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import BatchRequest

PATIENCE = 120.0
"""Seconds that an answer may take."""

START = "from voxflow.testing.elsewhere import serve; serve()"

_lock = threading.Lock()
_worker: Worker | None = None


class Failed(Exception):
    """What went wrong in the other process, as text."""


class Worker:
    """A process that serves requests until its input ends."""

    def __init__(self) -> None:
        # What is imported here is found there too; the seed of hashes differs.
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        plain.pop("PYTHONHASHSEED", None)
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**plain, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )

    @property
    def alive(self) -> bool:
        """Whether it serves, and is a child of this process."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, task: bytes) -> Any:
        """Send a task, and wait for its answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process has no pipes")
        guard = threading.Timer(PATIENCE, self._process.kill)
        guard.start()
        try:
            _write(stdin, task)
            answer = _read(stdout)
        except BrokenPipeError:
            answer = None
        finally:
            guard.cancel()
        if answer is None:
            # It may still be on its way out, and must not be taken for one that serves.
            self._process.kill()
            self._process.wait()
            raise Failed(f"the process died, or took more than {PATIENCE:g} s")
        return pickle.loads(answer)

    def close(self) -> None:
        """End the process."""
        if self._owner != os.getpid():
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def served_elsewhere(pipeline: Any, requests: Sequence[BatchRequest]) -> list[dict[str, Seen]]:
    """What a pipeline that is set up serves in another process.

    Raises
    ------
    Failed
        If it could not be rebuilt, or could not serve there.
    Exception
        If it could not be pickled.
    """
    global _worker
    task = pickle.dumps(pack_task((pipeline, list(requests))))
    with _lock:
        if _worker is None or not _worker.alive:
            if _worker is None:
                atexit.register(_close)
            _close()
            _worker = Worker()
        batches, error = _worker.ask(task)
    if error is not None:
        raise Failed(error)
    found: list[dict[str, Seen]] = batches
    return found


def serve() -> None:
    """Answer tasks from stdin on stdout, in the other process."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what nodes print must not get between the answers
    while (task := _read(sys.stdin.buffer)) is not None:
        answer: tuple[list[dict[str, Seen]], str | None]
        try:
            pipeline, requests = load_task(*pickle.loads(task))
            answer = [seen(pipeline.request_batch(request)) for request in requests], None
        except Exception:
            answer = [], traceback.format_exc()
        _write(out, pickle.dumps(answer))


def _write(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(len(message).to_bytes(8, "little") + message)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes | None:
    size = int.from_bytes(head, "little") if len(head := pipe.read(8)) == 8 else None
    if size is None:
        return None
    message = pipe.read(size)
    return message if len(message) == size else None


def _close() -> None:
    if _worker is not None:
        _worker.close()
