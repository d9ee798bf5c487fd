"""How long each node took."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

from voxflow.nodes.sinks.sink import Sink
from voxflow.pipeline.data import Batch, BatchRequest, ProfilingStats

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

_HEAD = ("NODE", "METHOD", "COUNTS", "MIN", "MAX", "MEAN", "MEDIAN", "SUM")


class PrintProfilingStats(Sink):
    """Logs a table of how long each node upstream took, in seconds (level INFO).

    There is a row for each node and method: how often it was timed, the shortest, longest, mean and
    median time, and the sum. The time of a node does not include that of nodes upstream of it. Two
    more rows are totals: upstream, from when a batch was asked for until it came, and downstream,
    from there until the next one was asked for. Below stands what nodes count, such
    as edges of graphs that they clip.

    Parameters
    ----------
    every
        After how many batches a table is logged; the counts start anew then.

    Raises
    ------
    ValueError
        If `every` is less than 1.
    """

    writes: ClassVar[bool] = False

    changes_no_result: ClassVar[frozenset[str] | bool] = True

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every has to be at least 1, got {every}")
        self.every = every

    def setup(self) -> None:
        """Start to count."""
        self._record = _Record()

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> float:
        """When the request came."""
        return time.time()

    def prepare(self, request: BatchRequest) -> None:
        """Note the time."""
        self.plan(request)

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Add up, and log."""
        stats = self._record.add(batch.profiling_stats, self.plan(request), self.every)
        if stats is not None:
            logger.info("profiling, last %d batches:\n%s", self.every, table(stats))


class _Record:
    """What was timed since the last table; copies of the node share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._left: float | None = None
        self._stats = ProfilingStats()

    def add(self, stats: ProfilingStats, came: float, every: int) -> ProfilingStats | None:
        """Add the timings of a batch; give all of them, and forget them, if it is time to."""
        now = time.time()
        with self._lock:
            self._stats.merge_with(stats)
            self._stats.record("TOTAL", "upstream", came, now)
            if self._left is not None and self._left <= came:
                self._stats.record("TOTAL", "downstream", self._left, came)
            self._left = now
            self._count += 1
            if self._count % every:
                return None
            full, self._stats = self._stats, ProfilingStats()
            return full

    def __reduce__(self) -> tuple[Any, ...]:
        return _Record, ()


def table(stats: ProfilingStats) -> str:
    """One row for each node and method: counts, and seconds.

    Examples
    --------
    >>> stats = ProfilingStats()
    >>> stats.record("Pad", "process", 0.0, 0.5)
    >>> print(table(stats))
    NODE  METHOD   COUNTS     MIN     MAX    MEAN  MEDIAN     SUM
    Pad   process       1  0.5000  0.5000  0.5000  0.5000  0.5000
    """
    rows: list[tuple[str, ...]] = [_HEAD]
    for (node, method), summary in stats.get_timing_summaries().items():
        seconds = (summary.min(), summary.max(), summary.mean(), summary.median())
        numbers = [f"{value:.4f}" for value in (*seconds, sum(summary.times))]
        rows.append((node, method or "", str(summary.counts()), *numbers))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    counts = stats.get_counts().items()
    return "\n".join(lines + [f"{node}: {times} {event}" for (node, event), times in counts])
