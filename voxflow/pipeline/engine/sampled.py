"""Which batches of a profile are measured node by node, such that batches hardly take longer."""

from __future__ import annotations

import pickle
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import ProfilingStats

_MOST = 0.01  # the part of the time of batches that it may take to keep their timings


class Sample:
    """Batches whose timings are kept, for all that there are.

    Those that take long are all kept, since that costs next to nothing beside them. Of the others
    dice decide, so that they keep in step with nothing: the longer they take, the more are kept.

    Parameters
    ----------
    keeping
        Seconds that it takes to keep the timings of a batch.

    Examples
    --------
    >>> from voxflow.pipeline.data import ProfilingStats
    >>> sample = Sample(0.01)
    >>> for seconds in [5.0, 7.0] + 400 * [0.25]:
    ...     sample.add(ProfilingStats(), seconds)
    >>> 80 < len(sample) < 120
    True
    >>> round(sum(calls_for for _, _, calls_for in sample.weighted()))
    402
    """

    def __init__(self, keeping: float) -> None:
        self._long = keeping / _MOST
        self._kept: list[tuple[ProfilingStats, float]] = []
        self._short = 0.0  # seconds of short batches
        self._short_ones = 0
        self._dice = random.Random(0)  # its own: batches are the same without a profile

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, stats: ProfilingStats, seconds: float) -> None:
        """Keep a batch that took so long, or leave it out."""
        seconds = max(seconds, 1e-9)  # what no clock can tell from nothing
        if seconds < self._long:
            self._short += seconds
            self._short_ones += 1
            if self._short_ones > 1 and seconds < self._dice.random() * self._long:
                return
        self._kept.append((stats, seconds))

    def weighted(self) -> Iterator[tuple[ProfilingStats, float, float]]:
        """What was kept, in the order of its coming, and what it stands for.

        Yields
        ------
        tuple[ProfilingStats, float, float]
            The timings of a batch, what its seconds and what its calls are multiplied with, so that
            the sums over what was kept are those of all batches.
        """
        short = [seconds for _, seconds in self._kept if seconds < self._long]
        reciprocals = sum(1 / seconds for seconds in short)
        for stats, seconds in self._kept:
            if seconds >= self._long:
                yield stats, 1.0, 1.0
            else:
                # Kept the more often the longer they take, so each stands for as much of the time.
                time_for = self._short / len(short) / seconds
                yield stats, time_for, self._short_ones / seconds / reciprocals


def seconds_to_keep(stats: ProfilingStats) -> float:
    """What it takes to keep the timings of a batch, so that the next one needs other memory.

    That cannot be told from what else happens. It is no more than to make all of them anew.
    """
    data = pickle.dumps(stats, pickle.HIGHEST_PROTOCOL)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        pickle.loads(data)
        best = min(best, time.perf_counter() - started)
    return best
