"""The engine of a pool of processes: one thread in the parent that sees to everything."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from . import health
from .blame import find_unpicklable
from .errors import NotPicklable, WorkerError, WorkerFailed
from .failures import Remote, rethrow
from .launch import ForkServerLauncher, Handle, Launcher, SpawnLauncher
from .ledger import Ledger
from .packing import pack_by_value, pack_task
from .slots import Placed, SlotReader, anonymous_memory
from .wire import Message
from .work import pack_work

TICK = 0.5
"""Seconds between two looks at the workers' health."""

LIGHT = 0.005
"""Tasks that take fewer seconds than this are light."""


class Worker:
    """The parent's knowledge of one worker."""

    def __init__(self, number: int, handle: Handle, report: int, on_free: Any) -> None:
        self.number = number
        self.handle = handle
        self.report = report
        self.slots = SlotReader(on_free)
        self.health = health.Health(handle.pid)
        self.ready = self.prefetches = False
        self.tasks: deque[tuple[int, Any]] = deque()  # the first is being worked on

    @property
    def doing(self) -> str:
        """In words, for errors."""
        if not self.tasks:
            return "waiting for a task" if self.ready else "starting (importing, unpickling)"
        return f"working on task {self.tasks[0][0]}: {_shown(self.tasks[0][1])}"


class ProcessEngine:
    """Runs ``serve`` in processes.

    All sockets, slots and workers belong to the one thread `_run`; other threads leave tasks
    in the ledger and freed slots in a queue, and wake it. It is also the thread that starts
    the workers, as they are bound to die with their creator.
    """

    def __init__(
        self,
        serve: Callable[[Any], Any],
        setup: Callable[[], None] | None,
        *,
        num_workers: int,
        method: str,
        ahead: int,
        name: str,
        stall_timeout: float,
    ) -> None:
        self._name, self._num_workers, self._method = name, num_workers, method
        self._stall_timeout = stall_timeout
        self._spare = -(-ahead // num_workers) + 2  # idle slots that a worker may keep
        self._max_leased = 2 * ahead + 16  # beyond, results are copied out of their slots
        self._work_fd, self._welcome, self._shared_fds = pack_work(serve, setup)
        self._owner = os.getpid()
        self._lifeline = -1
        self._write: Any = ctypes.PyDLL(None).write  # keeps the interpreter lock, see `_wake`
        self._stopping = False
        self.seconds: float | None = None
        self.last_seconds: float | None = None
        self._workers: list[Worker] = []
        self._launcher: Launcher | None = None
        self._freed: deque[tuple[SlotReader, int]] = deque()
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        # Arrays that outlive the pool still wake it when they die: the pipe must not be closed
        # before that, or the byte might go to whatever got its number.
        weakref.finalize(self, _close, self._wake_r, self._wake_w)
        self._selector = selectors.DefaultSelector()
        self.ledger = Ledger(ahead, self._wake)
        self._thread = threading.Thread(target=self._run, name=f"voxflow-{name}", daemon=True)
        self._thread.start()

    def submit(self, task: Any) -> None:
        """Pickle a task and put it in line."""
        try:
            packed = pack_task(task)
        except Exception as error:
            path, reason = find_unpicklable(task, pack_by_value, "task") or ("task", error)
            raise NotPicklable(
                f"The task for the workers of {self._name!r} cannot be sent to a process: {path} "
                f"cannot be pickled ({type(reason).__name__}: {reason})."
            ) from error
        self.ledger.add((task, packed))

    def stop(self) -> None:
        """End all workers and join the thread; may be called again, and from anywhere."""
        if os.getpid() != self._owner:  # a copy in a forked child owns nothing
            return
        self.ledger.close()
        self._stopping = True
        self._wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(10.0)

    # From here on: within the thread, except `_wake`, `_on_free` and `_open`.

    def _wake(self) -> None:
        # `os.write` would let go of the interpreter lock, which the thread that is woken takes at
        # once. Where workers use all processors, this one then waits for its turn: milliseconds.
        # A full pipe wakes as well. No global name is used here: at the end of the interpreter
        # the last arrays die after the modules.
        self._write(self._wake_w, b"x", 1)

    def _on_free(self, slots: SlotReader, slot: int) -> None:
        self._freed.append((slots, slot))
        self._wake()

    def _run(self) -> None:
        error: WorkerError | None = None
        try:
            self._launch()
            before = time.monotonic()
            while not self._stopping:
                self._step()
                now = time.monotonic()
                if now - before >= TICK:
                    self._look(now - before)
                    before = now
        except WorkerError as caught:
            error = caught
        except BaseException as caught:
            error = WorkerError(
                f"The workers of {self._name!r} had to be ended: {type(caught).__name__}: {caught}"
            )
            error.__cause__ = caught
        # First leave nothing behind, then tell: whoever catches the error finds a clean house.
        self._end_all(gently=error is None)
        if error is not None:
            self.ledger.fail(error)

    def _launch(self) -> None:
        kind = ForkServerLauncher if self._method == "forkserver" else SpawnLauncher
        lifeline_r, self._lifeline = os.pipe()
        try:
            self._launcher = kind(self._num_workers)
            for number, handle in enumerate(self._launcher.launch(self._num_workers)):
                report = anonymous_memory(0)
                worker = Worker(number, handle, report, self._on_free)
                self._workers.append(worker)
                handle.connection.set_blocking(False)
                fds = (self._work_fd, report, lifeline_r, *self._shared_fds)
                handle.connection.queue(tuple(self._welcome), fds)
                handle.connection.flush()
                self._watch(worker)
        finally:
            os.close(lifeline_r)
        _close(self._work_fd, *self._shared_fds)
        self._work_fd, self._shared_fds = -1, []
        self._selector.register(self._wake_r, selectors.EVENT_READ)
        control = self._launcher.fileno()
        if control is not None:
            self._selector.register(control, selectors.EVENT_READ)

    def _watch(self, worker: Worker) -> None:
        self._selector.register(worker.handle.connection, selectors.EVENT_READ, worker)
        if worker.handle.pidfd is not None:
            self._selector.register(worker.handle.pidfd, selectors.EVENT_READ, worker)

    def _step(self) -> None:
        """Wait for something to happen, and see to it."""
        events = self._selector.select(TICK)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_r, 4096)
        if self._launcher is not None:
            self._launcher.collect()
        for worker in {key.data for key, _ in events if key.data is not None}:
            self._hear(worker)
        for worker in self._workers:
            if worker.handle.ended:
                self._hear(worker)
        self._give_back_slots()
        self._hand_out_tasks()
        for worker in self._workers:
            self._talk(worker)

    def _hear(self, worker: Worker) -> None:
        """Take a worker's messages; if that was the last of it, say how it died."""
        messages, alive = worker.handle.connection.arrived()
        for message in messages:
            self._on_message(worker, message)
        if not alive or worker.handle.ended:
            deadline = time.monotonic() + 1.0
            while not worker.handle.ended and time.monotonic() < deadline:
                time.sleep(0.01)
                if self._launcher is not None:
                    self._launcher.collect()
            stack = health.read_stack(worker.handle, worker.report, ask=False)
            raise health.died(
                worker.number, self._name, worker.handle, worker.doing, worker.health, stack
            )

    def _on_message(self, worker: Worker, message: Message) -> None:
        kind, *values = message.body
        if kind == "ready":
            worker.ready = True
            worker.health.new_task()
            return
        if kind == "broken":
            rethrow_as_fatal(Remote(*values[0]), self._where(worker, "could not start"))
        index, answer, seconds, worker.prefetches = values
        worker.tasks.popleft()
        worker.health.new_task()
        self.seconds = seconds if self.seconds is None else 0.8 * self.seconds + 0.2 * seconds
        if kind == "result":
            placed = Placed(*answer)
            worker.slots.learn(placed, message.fds)
            self.ledger.finish(index, partial(self._open, worker.slots, placed, index, seconds))
        else:
            where = self._where(worker, f"failed in task {index}")
            self.ledger.finish(index, partial(rethrow, Remote(*answer), where))

    def _where(self, worker: Worker, what: str) -> str:
        return f"Worker {worker.number} of {self._name!r} (pid {worker.handle.pid}) {what}"

    def _open(self, slots: SlotReader, placed: Placed, index: int, seconds: float) -> Any:
        """Rebuild a result, in the consumer's thread."""
        self.last_seconds = seconds
        leased = sum(worker.slots.leased for worker in self._workers)
        try:
            return slots.open(placed, copy=leased >= self._max_leased)
        except Exception as error:
            raise WorkerFailed(
                f"The result of task {index} of {self._name!r} arrived but could not be rebuilt "
                f"in this process: {type(error).__name__}: {error}"
            ) from error

    def _give_back_slots(self) -> None:
        while self._freed:
            slots, slot = self._freed.popleft()
            worker = next(w for w in self._workers if w.slots is slots)
            if slots.idle >= self._spare:
                slots.drop(slot)
                worker.handle.connection.queue(("drop", slot))
            else:
                slots.idle += 1
                worker.handle.connection.queue(("free", slot))

    def _hand_out_tasks(self) -> None:
        # Light tasks are handed out one ahead, so that no worker waits for the next.
        light = self.seconds is not None and self.seconds < LIGHT
        for count in range(2 if light else 1):
            for worker in self._workers:
                if worker.ready and len(worker.tasks) == count:
                    taken = self.ledger.take()
                    if taken is None:
                        return
                    index, (task, packed) = taken
                    if not worker.tasks:
                        worker.health.new_task()
                    worker.tasks.append((index, task))
                    coming = None
                    if worker.prefetches:  # likely the next one of this worker
                        coming = self.ledger.coming(self._num_workers - 1)
                    message = ("task", index, *packed, None if coming is None else coming[1])
                    worker.handle.connection.queue(message)

    def _talk(self, worker: Worker) -> None:
        connection = worker.handle.connection
        if not connection.unsent:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # heard of soon
            connection.flush()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.unsent else 0)
        self._selector.modify(connection, events, worker)

    def _look(self, seconds: float) -> None:
        """Judge the workers' health."""
        for worker in self._workers:
            state, limit = worker.health, self._stall_timeout
            in_task = bool(worker.tasks) or not worker.ready
            state.look(seconds, in_task=in_task, stall_timeout=limit)
            if state.stopped > health.STOPPED_SECONDS:
                why = f"is stopped (by SIGSTOP or a debugger) for {state.stopped:.0f} s"
            elif in_task and state.quiet > limit:
                why = f"has made no progress for {state.quiet:.1f} s (stall_timeout={limit:g} s)"
            elif in_task and state.busy > health.BUSY_FACTOR * limit:
                why = f"is still busy after {state.busy:.1f} s (stall_timeout={limit:g} s)"
            else:
                continue
            ask = state.stopped == 0 and worker.ready
            stack = health.read_stack(worker.handle, worker.report, ask=ask)
            raise health.stalled(worker.number, self._name, worker.handle, why, worker.doing, stack)

    def _end_all(self, *, gently: bool) -> None:
        """End every process within seconds, and close everything."""
        for worker in self._workers:
            worker.handle.connection.close()  # the sign to leave, for those that wait for it
        handles = [worker.handle for worker in self._workers]
        launcher = self._launcher
        if launcher is not None:
            idle = [w.handle for w in self._workers if w.ready and not w.tasks]
            _wait_ended(launcher, idle, 0.5 if gently else 0.0)
            _end(launcher, handles)
            launcher.close()
        for worker in self._workers:
            worker.handle.close()
            os.close(worker.report)
        self._selector.close()
        _close(self._work_fd, self._lifeline, *self._shared_fds)


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)


def rethrow_as_fatal(remote: Remote, where: str) -> None:
    """Raise what ended a worker at its start as a `WorkerFailed`."""
    try:
        rethrow(remote, where)
    except WorkerFailed:
        raise
    except Exception as error:
        if isinstance(error.__cause__, WorkerFailed):
            fatal = error.__cause__
            fatal.add_note(f"Remote traceback:\n{remote.trace}")
            raise fatal from error.with_traceback(None)
        raise


def _end(launcher: Launcher, handles: list[Handle]) -> None:
    """Terminate, then kill."""
    for number, seconds in ((signal.SIGTERM, 1.5), (signal.SIGKILL, 3.0)):
        for handle in handles:
            if not handle.ended:
                handle.signal(number)
                handle.signal(signal.SIGCONT)  # a stopped one hears only when it goes on
        if _wait_ended(launcher, handles, seconds):
            return


def _wait_ended(launcher: Launcher, handles: list[Handle], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(WorkerError):  # the fork server itself has died
            launcher.collect()
        if all(handle.has_ended() for handle in handles):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.005)


def _shown(task: Any) -> str:
    try:
        text = repr(task)
    except Exception:
        text = f"<{type(task).__qualname__}>"
    return text if len(text) <= 200 else text[:200] + "..."
