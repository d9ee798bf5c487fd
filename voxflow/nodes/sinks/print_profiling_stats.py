"""How long each node took."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from voxflow.nodes.sinks.sink import Sink
from voxflow.pipeline.data import Batch, BatchRequest, ProfilingStats

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

_ROW = "{:<28} {:<10} {:>8} {:>10} {:>10} {:>10} {:>10}"


class PrintProfilingStats(Sink):
    """Logs a table of how long each node upstream took, in seconds (level INFO).

    Parameters
    ----------
    every
        After how many batches a table is logged; the counts start anew then.

    Raises
    ------
    ValueError
        If `every` is less than 1.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every has to be at least 1, got {every}")
        self.every = every

    def setup(self) -> None:
        """Start to count."""
        self._lock = threading.Lock()
        self._count = 0
        self._left: float | None = None
        self._stats = ProfilingStats()

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> float:
        """When the request came."""
        return time.time()

    def prepare(self, request: BatchRequest) -> None:
        """Note the time."""
        self.plan(request)

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Add up, and log."""
        now, came = time.time(), self.plan(request)
        with self._lock:
            self._stats.merge_with(batch.profiling_stats)
            self._stats.record("TOTAL", "upstream", came, now)
            if self._left is not None and self._left <= came:
                self._stats.record("TOTAL", "downstream", self._left, came)
            self._left = now
            self._count += 1
            if self._count % self.every == 0:
                logger.info("profiling, last %d batches:\n%s", self.every, table(self._stats))
                self._stats = ProfilingStats()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())


def table(stats: ProfilingStats) -> str:
    """One row for each node and method: counts, and seconds."""
    rows = [_ROW.format("NODE", "METHOD", "COUNTS", "MIN", "MAX", "MEAN", "MEDIAN")]
    for (node, method), summary in stats.get_timing_summaries().items():
        seconds = (summary.min(), summary.max(), summary.mean(), summary.median())
        numbers = [f"{value:.4f}" for value in seconds]
        rows.append(_ROW.format(node, method or "", summary.counts(), *numbers))
    return "\n".join(rows)
