"""How often each pair of ids is there: counted run by run, into a table of hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.ops.pointers import pointer
from voxflow.pipeline.compiled import kernel

__all__ = ["FIELDS", "add_rows", "count_pairs", "new_table"]

FIELDS = 5
"""Of an entry, each of 64 bits: both ids, voxels (0: a free place), longest run, its middle."""

_LEAST = 256

# Pairs that were seen last are counted in a small table that stays in the processor's cache, of one
# place for each hash: objects that are near one another are met again and again.
_NEAR = 1024


def new_table(entries: int = 0) -> NDArray[np.uint64]:
    """A table with room for so many pairs; it grows when there are more."""
    size = _LEAST
    while size < 2 * entries:
        size *= 2
    return np.zeros((size, FIELDS), np.uint64)


@kernel
def count_pairs(
    truth: Any, found: Any, mask: Any, starts: Any, limits: Any, table: Any, used: int
) -> Any:
    """Count the voxels of each pair of ids.

    Parameters
    ----------
    truth, found
        Unsigned, of one dtype, C-contiguous, shape (lines, width).
    mask
        uint8, of that shape: where it is 0, nothing is counted. Or of shape (0, 0): all is.
    starts
        int64, shape (lines,): the place of each line, to which places along it are added.
    limits
        uint64: the largest ids that may be there.
    table, used
        What was counted before.

    Returns
    -------
    tuple
        The table, how many pairs are in it, and -1, or the place (in memory) of an id that is
        larger than it may be.
    """
    lines, width = truth.shape
    a, b, known = pointer(truth), pointer(found), pointer(mask)
    masked = mask.size > 0
    near = np.zeros((_NEAR, FIELDS), np.uint64)
    most_a, most_b = limits[0], limits[1]
    for line in range(lines):
        x, last = line * width, (line + 1) * width
        shift = starts[line] - x
        while x < last:
            if masked and known[x] == 0:
                x += 1
                continue
            first_a, first_b = a[x], b[x]
            begin = x
            x += 1
            if masked:
                while x < last and a[x] == first_a and b[x] == first_b and known[x] != 0:
                    x += 1
            else:
                while x < last and ((a[x] ^ first_a) | (b[x] ^ first_b)) == 0:
                    x += 1
            if first_a > most_a or first_b > most_b:
                return *add_rows(near, table, used), begin
            pair_a, pair_b, run = np.uint64(first_a), np.uint64(first_b), np.uint64(x - begin)
            middle = np.uint64(shift + begin + (x - begin) // 2)
            here = _hash(pair_a, pair_b) & np.uint64(_NEAR - 1)
            if near[here, 2] > 0 and (near[here, 0] != pair_a or near[here, 1] != pair_b):
                table, used = _add(table, used, near, here)
                near[here, 2] = 0
            _count(near, here, pair_a, pair_b, run, run, middle)
    return *add_rows(near, table, used), -1


@kernel
def add_rows(rows: Any, table: Any, used: int) -> Any:
    """Add entries of other tables; gives the table, and how many pairs are in it."""
    for row in range(len(rows)):
        if rows[row, 2] > 0:
            table, used = _add(table, used, rows, row)
    return table, used


@kernel
def _add(table: Any, used: int, rows: Any, row: Any) -> Any:
    if 2 * used >= len(table):
        table = _grown(table)
    here = _place(table, rows[row, 0], rows[row, 1])
    used += table[here, 2] == 0
    _count(table, here, rows[row, 0], rows[row, 1], rows[row, 2], rows[row, 3], rows[row, 4])
    return table, used


@kernel
def _grown(table: Any) -> Any:
    """The same entries in a table of twice the size."""
    larger = np.zeros((2 * len(table), FIELDS), np.uint64)
    for row in range(len(table)):
        if table[row, 2] > 0:
            here = _place(larger, table[row, 0], table[row, 1])
            for field in range(FIELDS):
                larger[here, field] = table[row, field]
    return larger


@kernel
def _place(table: Any, a: Any, b: Any) -> Any:
    """Where a pair is in a table, or would be."""
    last = np.uint64(len(table) - 1)
    here = _hash(a, b) & last
    while table[here, 2] > 0 and (table[here, 0] != a or table[here, 1] != b):
        here = (here + np.uint64(1)) & last
    return here


@kernel
def _hash(a: Any, b: Any) -> Any:
    mixed = (a * np.uint64(0x9E3779B97F4A7C15)) ^ (b * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ (mixed >> np.uint64(32))


@kernel
def _count(table: Any, here: Any, a: Any, b: Any, voxels: Any, run: Any, middle: Any) -> None:
    """Add voxels to an entry; of runs of one length, the first in the volume is kept."""
    if table[here, 2] == 0:
        table[here, 0], table[here, 1], table[here, 3] = a, b, 0
    table[here, 2] += voxels
    if run > table[here, 3] or (run == table[here, 3] and middle < table[here, 4]):
        table[here, 3], table[here, 4] = run, middle
