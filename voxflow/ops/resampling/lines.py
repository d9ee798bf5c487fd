"""From the coordinates of a row that is one line to indices and fractions, in one pass.

The rows of all maps that are linear are lines. As in `lookup`, what is written is rounded up to
whole blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.pipeline.compiled import kernel

from .borders import folded
from .rows import BLOCK


@kernel
def is_line(scratch: Any, used: int, at: int) -> bool:
    """Whether the coordinate at `at` is one line in all of a row, as in those of a linear map."""
    return bool(used == 1 and scratch[at + 2] == 0.0 and scratch[at + 3] == 0.0)


@kernel
def inner(scratch: Any, n: int, at: int, low: float, high: float) -> tuple[int, int]:
    """Which voxels of a line of `n` are at least at `low`, and below `high`.

    Begin and end of what is found, in whole blocks from the first voxel; the end may be `n`.
    """
    b0, b1 = scratch[at], scratch[at + 1]
    if _between(b0, b1 * (n - 1.0) + b0, low, high):
        return 0, n
    if b1 == 0.0:
        return 0, 0
    ends = (low - b0) / b1, (high - b0) / b1
    first, last = np.ceil(min(ends[0], ends[1])), np.ceil(max(ends[0], ends[1]))
    first, last = max(first, 0.0), min(last, 1.0 * n)
    begin = int(min(np.ceil(first / BLOCK), 1.0 * n)) * BLOCK
    end = n if last >= n else int(max(np.floor(last / BLOCK), 0.0)) * BLOCK
    # Rounding may have put them too far out.
    if not _between(b1 * begin + b0, b1 * begin + b0, low, high):
        begin += BLOCK
    if not _between(b1 * (end - 1.0) + b0, b1 * (end - 1.0) + b0, low, high):
        end = (end - 1) // BLOCK * BLOCK
    found = begin < end and _between(b1 * begin + b0, b1 * (end - 1.0) + b0, low, high)
    return (begin, end) if found else (0, 0)


@kernel
def _between(one: float, other: float, low: float, high: float) -> bool:
    return bool(min(one, other) >= low and max(one, other) < high)


@kernel
def split_line(
    scratch: Any, at: int, ramp: int, first: int, end: int, step: Any, more: bool, index: Any,
    work: Any, to: int,
) -> None:  # fmt: skip
    """What `lookup.split` writes for voxels of a line that are inside of the data."""
    b0, b1 = scratch[at], scratch[at + 1]
    for i in range(first, end):
        u = b1 * scratch[ramp + i] + b0
        k = np.int32(u)
        work[to + i] = u - k
        index[i] = np.uint32(k * step) + (index[i] if more else np.uint32(0))


@kernel
def split_folded(
    scratch: Any, at: int, ramp: int, first: int, end: int, size: int, step: Any, half: float,
    period: float, more: bool, index: Any, work: Any, to: int,
) -> None:  # fmt: skip
    """What `lookup.split` writes for voxels of a line that leaves data that are mirrored."""
    b0, b1, inverse = scratch[at], scratch[at + 1], 1.0 / period
    last, top = size - 1.0, np.int32(max(size - 2, 0))
    for i in range(first, end):
        u = folded(b1 * scratch[ramp + i] + b0, half, period, inverse)
        inside = min(max(u, 0.0), last)
        k = min(np.int32(inside), top)
        work[to + i] = inside - k
        index[i] = np.uint32(np.int32(k) * step) + (index[i] if more else np.uint32(0))


@kernel
def nearest_line(
    scratch: Any, at: int, ramp: int, first: int, end: int, step: Any, more: bool, index: Any
) -> None:
    """What `lookup.nearest` writes for voxels of a line that are inside of the data."""
    b0, b1 = scratch[at], scratch[at + 1]
    if b1 == 0.0:  # as along an axis that the data do not really have
        only = np.uint32(np.int32(b0 + 0.5) * step)
        for i in range(first, end):
            index[i] = only + (index[i] if more else np.uint32(0))
        return
    for i in range(first, end):
        u = b1 * scratch[ramp + i] + b0
        index[i] = np.uint32(np.int32(u + 0.5) * step) + (index[i] if more else np.uint32(0))


@kernel
def nearest_folded(
    scratch: Any, at: int, ramp: int, first: int, end: int, size: int, step: Any, half: float,
    period: float, more: bool, index: Any,
) -> None:  # fmt: skip
    """What `lookup.nearest` writes for voxels of a line that leaves data that are mirrored."""
    b0, b1, last, inverse = scratch[at], scratch[at + 1], size - 1.0, 1.0 / period
    for i in range(first, end):
        # Which voxel comes first: also what is mirrored has an upper one.
        u = np.floor(b1 * scratch[ramp + i] + b0 + 0.5)
        k = np.int32(min(max(folded(u, half, period, inverse), 0.0), last))
        index[i] = np.uint32(k * step) + (index[i] if more else np.uint32(0))
