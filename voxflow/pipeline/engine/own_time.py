"""How long a node took itself, without the nodes that it asked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch

HANDED_OVER = "Batch"
"""For what time is counted that voxels take which are made when a batch is handed over."""


class _Thread(threading.local):
    told = 0.0  # seconds within the innermost `OwnTime` that are somebody's already


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


def make_timed(batch: Batch) -> None:
    """Make all voxels of a batch that nobody has looked at; that counts for `HANDED_OVER`."""
    with OwnTime() as own:
        made = batch.make()
    if made:
        batch.profiling_stats.record(HANDED_OVER, "make", own.start, own.stop, own.seconds)
