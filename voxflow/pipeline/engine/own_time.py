"""How long a node took itself, without the nodes that it asked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.pipeline.data import Batch

HANDED_OVER = "Batch"
"""For what time is counted that voxels take which are made when a batch is handed over."""


BETWEEN = "Engine"
"""For what time is counted that requests and batches are on their way between nodes."""


class _Thread(threading.local):
    told = 0.0  # seconds within the innermost `OwnTime` that are somebody's already
    between = 0.0  # seconds between nodes, of the request that is served at present


_thread = _Thread()


class OwnTime:
    """Measures a call without what was measured within it.

    Attributes
    ----------
    start, stop
        When the call began and ended, as of `time.time()`.
    seconds
        How long it took, without the calls within it that were measured as well.

    Examples
    --------
    >>> with OwnTime() as outer, OwnTime() as inner:
    ...     time.sleep(0.01)
    >>> inner.seconds >= 0.01 > outer.seconds
    True
    """

    def __enter__(self) -> OwnTime:
        self._before, _thread.told = _thread.told, 0.0
        self.start = self.stop = time.time()
        self.seconds = 0.0
        return self

    def __exit__(self, *error: object) -> None:
        self.stop = time.time()
        total = self.stop - self.start
        self.seconds = max(0.0, total - _thread.told)
        _thread.told = self._before + total


def is_told(seconds: float) -> None:
    """Say that so much time of the present call has been recorded otherwise."""
    _thread.told += seconds


def enter() -> tuple[float, float]:
    """Begin to serve a node; what nobody tells of until `leave` is time between nodes."""
    before, _thread.told = _thread.told, 0.0
    return before, time.time()


def leave(entered: tuple[float, float]) -> None:
    """End what `enter` began, and returned."""
    mine, (before, started) = _thread, entered
    seconds = time.time() - started
    mine.between += seconds - mine.told
    mine.told = before + seconds


class Between:
    """Adds up the time between nodes, of all nodes that serve one request."""

    def __enter__(self) -> Between:
        self._before, _thread.between = _thread.between, 0.0
        self._entered = enter()
        return self

    def __exit__(self, *error: object) -> None:
        leave(self._entered)
        _thread.between = self._before

    def record(self, batch: Batch) -> None:
        """Record it with a batch, for `BETWEEN`; what is done after that is not in it."""
        started, now = self._entered[1], time.time()
        seconds = max(0.0, _thread.between + now - started - _thread.told)
        batch.profiling_stats.record(BETWEEN, "between", started, now, seconds)


def make_timed(batch: Batch) -> None:
    """Make all voxels of a batch that nobody has looked at; that counts for `HANDED_OVER`."""
    _timed(batch, batch.make)


def fix_timed(batch: Batch) -> None:
    """The same for those that would change with what somebody writes elsewhere."""
    _timed(batch, batch.fix)


def _timed(batch: Batch, make: Callable[[], bool]) -> None:
    with OwnTime() as own:
        made = make()
    if made:
        batch.profiling_stats.record(HANDED_OVER, "make", own.start, own.stop, own.seconds)
