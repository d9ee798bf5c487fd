"""The engine of a pool of threads: no copies, for work that lets go of the interpreter lock."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from .errors import WorkerStalled
from .failures import capture, rethrow
from .health import BUSY_FACTOR
from .ledger import Ledger

_TICK = 0.25
_MAX_STEP = 1.0


class ThreadEngine:
    """Runs ``serve`` in threads of this process, which therefore must be reentrant."""

    def __init__(
        self,
        serve: Callable[[Any], Any],
        setup: Callable[[], None] | None,
        *,
        num_workers: int,
        ahead: int,
        name: str,
        stall_timeout: float,
    ) -> None:
        if setup is not None:
            setup()
        self._serve, self._name, self._stall_timeout = serve, name, stall_timeout
        self.seconds: float | None = None
        self.last_seconds: float | None = None
        self._owner = os.getpid()
        self._stop = threading.Event()
        self._doing: dict[int, tuple[int, Any]] = {}
        self.ledger = Ledger(ahead, lambda: None)
        self._threads = [
            threading.Thread(target=self._work, args=(i,), name=f"voxflow-{name}-{i}", daemon=True)
            for i in range(num_workers)
        ]
        self._watcher = threading.Thread(target=self._watch, name=f"voxflow-{name}", daemon=True)
        for thread in (*self._threads, self._watcher):
            thread.start()

    def submit(self, task: Any) -> None:
        """Put a task in line."""
        self.ledger.add(task)

    def stop(self) -> None:
        """Let the threads end. One that hangs in a task cannot be ended, and is left."""
        if os.getpid() != self._owner:
            return
        self.ledger.close()
        self._stop.set()
        deadline = time.monotonic() + 5.0
        for thread in (*self._threads, self._watcher):
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self, worker: int) -> None:
        while (taken := self.ledger.take(wait=True)) is not None:
            index, task = taken
            self._doing[worker] = taken
            if getattr(self._serve, "prefetches", False):
                coming = self.ledger.coming(len(self._threads) - 1)
                if coming is not None:
                    self._serve.announce(coming)  # type: ignore[attr-defined]
            started = time.perf_counter()
            self.ledger.finish(index, self._outcome(worker, index, task))
            taken_for = time.perf_counter() - started
            self.seconds = (
                taken_for if self.seconds is None else 0.8 * self.seconds + 0.2 * taken_for
            )
            del self._doing[worker], taken, task

    def _outcome(self, worker: int, index: int, task: Any) -> Callable[[], Any]:
        try:
            result = self._serve(task)
        except Exception as error:
            error.add_note(f"Thread {worker} of {self._name!r} failed in task {index}")
            return partial(_raise, error)
        except BaseException as error:  # SystemExit must not end the consumer
            where = f"Thread {worker} of {self._name!r} failed in task {index}"
            return partial(rethrow, capture(error), where)
        return lambda: result

    def _watch(self) -> None:
        clocks = {i: _Clock(thread) for i, thread in enumerate(self._threads)}
        before = time.monotonic()
        while not self._stop.wait(min(_TICK, self._stall_timeout / 4)):
            now = time.monotonic()
            step, before = min(now - before, _MAX_STEP), now
            for worker, clock in clocks.items():
                doing = self._doing.get(worker)
                if clock.stalled(doing, step, self._stall_timeout) and doing is not None:
                    self.ledger.fail(self._stalled(worker, clock, doing))
                    return

    def _stalled(self, worker: int, clock: _Clock, doing: tuple[int, Any]) -> WorkerStalled:
        frame = sys._current_frames().get(self._threads[worker].ident or 0)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        error = WorkerStalled(
            f"Thread {worker} of {self._name!r} has made no progress for {clock.quiet:.1f} s "
            f"(busy for {clock.busy:.1f} s, stall_timeout={self._stall_timeout:g} s) in task "
            f"{doing[0]}: {doing[1]!r:.200}. A thread cannot be ended from outside.\n"
            f"It stood at:\n{stack}"
        )
        error.worker, error.stack = worker, stack
        return error


class _Clock:
    """How long a thread has been in its task, and without using the processor."""

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread
        self._doing: object = None
        self._cpu = 0.0
        self.busy = self.quiet = 0.0

    def stalled(self, doing: object, step: float, timeout: float) -> bool:
        if doing is None or doing is not self._doing:
            self._doing = doing
            self.busy = self.quiet = 0.0
            return False
        self.busy += step
        self.quiet += step
        if self.quiet > timeout:
            used, self._cpu = self._cpu, self._used()
            if self._cpu - used >= 0.01 * self.quiet:
                self.quiet = 0.0
        return self.quiet > timeout or self.busy > BUSY_FACTOR * timeout

    def _used(self) -> float:
        try:
            clock = time.pthread_getcpuclockid(self._thread.ident or 0)
            return time.clock_gettime(clock)
        except (AttributeError, OSError):  # cannot be known here: count as progress
            return float("inf") if self._cpu == 0.0 else self._cpu


def _raise(error: Exception) -> NoReturn:
    raise error
