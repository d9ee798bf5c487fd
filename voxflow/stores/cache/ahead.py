"""Chunks that threads fetch ahead, where fetching is mostly waiting: for a network, for a disk."""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator

__all__ = ["Waiting", "in_background"]

_THREADS = 16
_LINE = 4096  # what is further ahead is left to whoever reads it
_SECONDS = 0.001
_PATIENCE = 5.0  # seconds, at the end of the interpreter
_SHARE = 0.25  # a process that has to share its processor works for half of the time, say


class Waiting:
    """How long a fetch takes, and how much of that is work.

    Attributes
    ----------
    pays
        Whether fetches take more than a millisecond and wait for most of it, so that
        several at once are sooner done.
    """

    def __init__(self) -> None:
        self.pays = False
        self._wall = self._work = 0.0
        self._after_fork()
        _measures.add(self)

    def _after_fork(self) -> None:
        # What threads measured that are not here has no end.
        self._running, self._among_others = 0, False
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Waiting], tuple[()]]:
        return Waiting, ()  # another process finds out for itself

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a fetch; one among others says nothing of its own work."""
        with self._lock:
            self._running += 1
            self._among_others = self._among_others or self._running > 1
        # Of the whole process: libraries decode in threads of their own.
        wall, work = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                if not self._among_others:
                    self._learn(time.perf_counter() - wall, time.process_time() - work)
                elif not self._running:
                    self._among_others = False

    def _learn(self, wall: float, work: float) -> None:
        part = 0.2 if self._wall else 1.0
        self._wall += part * (wall - self._wall)
        self._work += part * (work - self._work)
        self.pays = self._wall > _SECONDS and self._work < _SHARE * self._wall


def in_background(task: Callable[[], None]) -> None:
    """Have something done by one of a few threads of this process, if not too much is in line.

    What it raises is lost: whoever needs the result does the same again, and is told.
    """
    global _pool
    with _lock:
        if _leaving:
            return
        if _pool is None:
            _pool = _Pool()
        pool = _pool
    with contextlib.suppress(queue.Full):
        pool.line.put_nowait(task)


class _Pool:
    """Threads that end before the interpreter does, with what each of them is at."""

    def __init__(self) -> None:
        self.line: queue.Queue[Callable[[], None] | None] = queue.Queue(_LINE)
        self._ended = self._paused = False
        self._busy = 0
        self._gate = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"voxflow-ahead-{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Begin nothing more, and wait for what is being done, but not for ever."""
        with self._gate:
            self._paused = True
            self._gate.wait_for(lambda: not self._busy, _PATIENCE)

    def go_on(self) -> None:
        """After a pause."""
        with self._gate:
            self._paused = False
            self._gate.notify_all()

    def end(self) -> None:
        """Drop what is in line, and wait for what is being done, but not for ever."""
        self._ended = True
        with contextlib.suppress(queue.Empty):
            while True:
                self.line.get_nowait()
        for _ in self._threads:
            self.line.put_nowait(None)
        until = time.monotonic() + _PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while (task := self.line.get()) is not None and not self._ended:
            with self._gate:
                self._gate.wait_for(lambda: not self._paused)
                self._busy += 1
            with contextlib.suppress(Exception):
                task()
            del task
            with self._gate:
                self._busy -= 1
                self._gate.notify_all()


_pool: _Pool | None = None
_lock = threading.Lock()
_leaving = False
_measures: weakref.WeakSet[Waiting] = weakref.WeakSet()


@atexit.register
def _leave() -> None:
    # A thread that is within a library while the interpreter goes may hold a lock of it for ever.
    global _leaving
    with _lock:
        _leaving, pool = True, _pool
    if pool is not None:
        pool.end()


def _before_fork() -> None:
    # What a thread is at in a library, with its locks, would never be done in the child.
    if _pool is not None:
        _pool.pause()


def _after_fork_here() -> None:
    if _pool is not None:
        _pool.go_on()


def _after_fork() -> None:
    global _lock, _pool
    _lock, _pool = threading.Lock(), None
    for measure in list(_measures):
        measure._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork
    )
