"""What this machine's memory can do: the floor of what moves bytes."""

from __future__ import annotations

import time
from functools import cache
from statistics import median

import numpy as np


@cache
def copies_per_second() -> float:
    """Bytes that one thread copies in a second, between arrays that do not fit into a cache."""
    source, target = np.ones(1 << 27, np.uint8), np.zeros(1 << 27, np.uint8)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return source.nbytes / median(times)


def floor(read: float, written: float) -> float:
    """Seconds that it takes at least to read and write so many bytes, at the speed of a copy."""
    return (read + written) / (2 * copies_per_second())
