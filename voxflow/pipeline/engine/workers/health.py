"""Looking at worker processes from outside, and wording what was seen."""

from __future__ import annotations

import os
import signal
import time

import psutil

from .errors import WorkerDied, WorkerStalled
from .launch import Handle
from .limits import memory_limit

STOPPED_SECONDS = 3.0
"""A worker stopped (SIGSTOP, debugger) for longer than this counts as stalled."""

BUSY_FACTOR = 10
"""A task that does use the processor may take this many stall timeouts."""

_MAX_STEP = 1.0  # what one look may add to a clock: the machine may have slept in between


class Health:
    """What is known of one worker process; look at it every half second or so.

    Attributes
    ----------
    stopped, busy, quiet : float
        Seconds that it has been stopped; in the present task; and in it without progress,
        which means that the worker and its children use less than 1 % of a processor.
    rss : int
        Largest resident memory seen, in bytes.
    """

    def __init__(self, pid: int) -> None:
        self.stopped = self.busy = self.quiet = 0.0
        self.rss = 0
        self._cpu = 0.0
        self._cpu_at_task = 0.0
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.Error:  # it has ended already; others will notice
            self._process = None

    def new_task(self) -> None:
        """Start the clocks of a task."""
        self.busy = self.quiet = 0.0

    def look(self, seconds: float, *, in_task: bool, stall_timeout: float) -> None:
        """Look again after so many seconds."""
        if self._process is None:
            return
        step = min(seconds, _MAX_STEP)
        try:
            with self._process.oneshot():
                is_stopped = self._process.status() == psutil.STATUS_STOPPED
                self.rss = max(self.rss, self._process.memory_info().rss)
            self.stopped = self.stopped + step if is_stopped else 0.0
            if in_task:
                self.busy += step
                self.quiet += step
                # The processor clock ticks coarsely, so judge a whole timeout, not one step.
                if self.quiet > stall_timeout and self._progressed(0.01 * self.quiet):
                    self.quiet = 0.0
        except psutil.Error:
            return

    def _progressed(self, least: float) -> bool:
        if self._process is None:
            return False
        used = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            used += times.user + times.system + times.children_user + times.children_system
        before, self._cpu = self._cpu, used
        return used - before >= least


def signal_name(exitcode: int) -> str:
    """Name the signal of a negative exit code.

    Examples
    --------
    >>> signal_name(-9)
    'SIGKILL'
    """
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return f"signal {-exitcode}"


def in_words(exitcode: int | None, rss: int = 0) -> str:
    """Say how a process ended.

    Examples
    --------
    >>> in_words(3)
    'it exited with code 3, although nobody had asked it to'
    >>> in_words(-11)
    'SIGSEGV (a crash in native code: a library bug, or memory overwritten)'
    """
    if exitcode is None:
        return "for a reason that could not be found out"
    if exitcode >= 0:
        return f"it exited with code {exitcode}, although nobody had asked it to"
    name = signal_name(exitcode)
    if name == "SIGKILL":
        return f"SIGKILL (probably out of memory; {_memory_in_words(rss)})"
    if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT"):
        return f"{name} (a crash in native code: a library bug, or memory overwritten)"
    return name


def died(
    worker: int, name: str, handle: Handle, task: str, health: Health, stack: str
) -> WorkerDied:
    """Word the end of a worker."""
    error = WorkerDied(
        f"Worker {worker} of {name!r} (pid {handle.pid}) died: "
        f"{in_words(handle.exitcode, health.rss)}. It was {task}. All workers were ended."
        + (f"\nIts last stack:\n{stack}" if stack else "")
    )
    error.worker, error.pid, error.exitcode = worker, handle.pid, handle.exitcode
    return error


def stalled(
    worker: int, name: str, handle: Handle, why: str, task: str, stack: str
) -> WorkerStalled:
    """Word that a worker makes no progress."""
    error = WorkerStalled(
        f"Worker {worker} of {name!r} (pid {handle.pid}) {why}. It was {task}. "
        "All workers were ended." + (f"\nIt stood at:\n{stack}" if stack else "")
    )
    error.worker, error.pid, error.stack = worker, handle.pid, stack
    return error


def read_stack(handle: Handle, report: int, *, ask: bool) -> str:
    """Return what the worker's fault handler has written, after asking it to if ``ask``."""
    if ask:
        before = os.fstat(report).st_size
        handle.signal(signal.SIGUSR1)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and os.fstat(report).st_size == before:
            time.sleep(0.02)
        time.sleep(0.05)  # the rest of it
    return os.pread(report, 16384, 0).decode(errors="replace").strip()


def _memory_in_words(rss: int) -> str:
    limit = memory_limit()
    allowed = "no control group limit" if limit is None else f"limit {limit / 2**30:.1f} GiB"
    total = psutil.virtual_memory().total / 2**30
    return f"it last held {rss / 2**30:.2f} GiB; {allowed}; the machine has {total:.1f} GiB"
