"""Loops that change values, a row at a time while it is in the cache.

`steps` is what `changes.packed` gives, as a pointer. What `ops.resampling.pointers` says of
pointers holds here.
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np

from voxflow.pipeline.compiled import kernel

from ..pointers import as_element, pointer

BLOCK = 1024  # values that stay in the first-level cache for all steps
LANES = 16  # sums that run side by side, which makes them quick and always of the same order


@kernel
def change_row(row: Any, at: int, n: int, steps: Any, count: int) -> None:
    """Apply all steps to ``row[at : at + n]``; not a number stays what it is."""
    for s in range(count):
        kind = steps[3 * s]
        a, b = as_element(row, steps[3 * s + 1]), as_element(row, steps[3 * s + 2])
        if kind == 1.0:
            for i in range(at, at + n):
                row[i] = row[i] * a + b
        elif kind == 2.0:
            for i in range(at, at + n):
                value = row[i]
                value = a if value < a else value
                row[i] = b if value > b else value
        elif kind == 3.0:
            for i in range(at, at + n):
                row[i] = row[i] ** a
        else:
            half = as_element(row, 0.5)
            for i in range(at, at + n):
                row[i] = floor(row[i] + half)


@kernel
def _change_block(
    source: Any, here: int, near: int, target: Any, there: int, to: int, n: int, row: Any,
    todo: Any, count: int,
) -> None:  # fmt: skip
    if near == 1:
        for i in range(n):
            row[i] = source[here + i]
    else:
        for i in range(n):
            row[i] = source[here + i * near]
    change_row(row, 0, n, todo, count)
    if to == 1:
        for i in range(n):
            target[there + i] = row[i]
    else:
        for i in range(n):
            target[there + i * to] = row[i]


@kernel
def change(
    data: Any, shape: Any, stride: Any, out: Any, step: Any, work: Any, steps: Any, count: int
) -> None:
    """Copy four axes from `data` to `out`, and change the values on the way.

    `data` and `out` begin at the first element, `stride` and `step` lead to the others; `work` has
    room for `BLOCK` values, in the type of the computation.
    """
    source, target, row, todo = pointer(data), pointer(out), pointer(work), pointer(steps)
    near, to = stride[3], step[3]
    for a in range(shape[0]):
        for b in range(shape[1]):
            for c in range(shape[2]):
                here = a * stride[0] + b * stride[1] + c * stride[2]
                there = a * step[0] + b * step[1] + c * step[2]
                for begin in range(0, shape[3], BLOCK):
                    n = min(BLOCK, shape[3] - begin)
                    _change_block(
                        source, here + begin * near, near, target, there + begin * to, to, n,
                        row, todo, count,
                    )  # fmt: skip


@kernel
def change_pieces(
    flat: Any, starts: Any, length: int, own: Any, each: int, steps: Any, count: int
) -> None:
    """Apply to each piece the `each` steps that are its own, then those of all; in place.

    Piece ``p`` is as in `center`; its own steps are ``own[p]``, shape (each, 3).
    """
    values, todo, mine = pointer(flat), pointer(steps), pointer(own)
    row = np.empty(3 * each, np.float64)
    todo_own = pointer(row)
    for p in range(starts.shape[0]):
        for i in range(3 * each):
            row[i] = mine[p * 3 * each + i]
        for r in range(starts.shape[1]):
            end = starts[p, r] + length
            for begin in range(starts[p, r], end, BLOCK):
                n = min(BLOCK, end - begin)
                change_row(values, begin, n, todo_own, each)
                change_row(values, begin, n, todo, count)


@kernel
def _sum(values: Any, at: int, n: int, lanes: Any) -> float:
    for k in range(LANES):
        lanes[k] = 0.0
    whole = n // LANES * LANES
    for i in range(at, at + whole, LANES):
        for k in range(LANES):
            lanes[k] += values[i + k]
    total = 0.0
    for i in range(at + whole, at + n):
        total += values[i]
    for k in range(LANES):
        total += lanes[k]
    return total


@kernel
def center(
    flat: Any,
    starts: Any,
    length: int,
    scale: Any,
    shift: Any,
    steps: Any,
    count: int,
    lanes: Any,
) -> None:
    """Change pieces about their means, then apply all steps; in place.

    Piece ``p`` is the runs of `length` values of `flat` that begin at ``starts[p]``. `lanes` is
    room for sums.
    """
    values, todo, sums = pointer(flat), pointer(steps), pointer(lanes)
    for p in range(starts.shape[0]):
        total = 0.0
        for r in range(starts.shape[1]):
            total += _sum(values, starts[p, r], length, sums)
        mean = total / max(1, starts.shape[1] * length)
        factor = as_element(values, scale[p])
        summand = as_element(values, mean * (1.0 - scale[p]) + shift[p])
        for r in range(starts.shape[1]):
            end = starts[p, r] + length
            for begin in range(starts[p, r], end, BLOCK):
                n = min(BLOCK, end - begin)
                for i in range(begin, begin + n):
                    values[i] = values[i] * factor + summand
                change_row(values, begin, n, todo, count)
