"""The value that fills most of a voxel's cell, for labels that a map shrinks or turns.

The output is made nearest-neighbour on a finer grid (see `cells`), a few rows at a time such that
they stay in the cache, and every voxel becomes what most of its parts are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.pipeline.compiled import kernel

from ..pointers import pointer
from . import kernels
from .cells import MOST, refined, subgrid
from .program import NDIM, pack
from .stages import Stage

Array = NDArray[Any]

_ROOM = 2**17  # parts to work at once


def vote(
    source: Array,
    made: Array,
    program: Sequence[Stage],
    fill: Any,
    border: Array,
    kind: np.dtype[Any],
) -> None:
    """Have every voxel of `made` voted on.

    Parameters
    ----------
    source
        the input as unsigned bits, (channels, z, y, x).
    made
        the output, of the same type and number of axes; holds the nearest values, and then those
        that most parts of a cell have. Where several are equally frequent, the nearest value stays
        if it is among them, otherwise the smallest of them is taken.
    program
        from output to input indices.
    fill
        what lies outside of the input.
    border
        how the input goes on beyond its borders, see `borders`.
    kind
        the type whose bits these are: it says which is the smallest.
    """
    parts = subgrid(program)
    tables = pack(refined(program, parts))
    matrix, shift = tables.numbers[:9].reshape(NDIM, NDIM), tables.numbers[9:12].copy()
    channels, sections, rows, n = made.shape
    each = channels * n * int(parts.prod())
    high = min(rows, max(1, _ROOM // each))
    deep = min(sections, max(1, _ROOM // (each * high)))
    fine = np.empty((channels, deep * parts[0], high * parts[1], n * parts[2]), made.dtype)
    space = kernels.workspace(tables.ints, fine.shape[-1], made.dtype, np.float32)
    order = np.dtype(f"{'i' if kind.kind == 'i' else 'u'}{kind.itemsize}")
    ballot, votes = np.empty(MOST**NDIM, order), np.empty(MOST**NDIM, np.int64)
    of_source = kernels.axes(source)
    for a in range(0, sections, deep):
        for b in range(0, rows, high):
            block = made[:, a : a + deep, b : b + high]
            cut = fine[:, : block.shape[1] * parts[0], : block.shape[2] * parts[1]]
            tables.numbers[9:12] = shift + matrix @ (parts * (a, b, 0))
            kernels.nearest(*of_source, *kernels.axes(cut), *tables, space, fill, border)
            cut, block = cut.view(order), block.view(order)
            _count(*kernels.axes(cut), *kernels.axes(block), parts, ballot, votes)


@kernel
def _count(
    fine: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    parts: Any,
    ballot: Any,
    votes: Any,
) -> None:
    """Write what most parts of each voxel are; `ballot` and `votes` are overwritten."""
    source, target = pointer(fine), pointer(out)
    values, counts = pointer(ballot), pointer(votes)
    deep, high, wide = parts[0], parts[1], parts[2]
    far, near = stride[0], stride[1]
    for c in range(shape[3]):
        for a in range(shape[0]):
            for b in range(shape[1]):
                row = a * deep * far + b * high * near + c * stride[3]
                to = a * step[0] + b * step[1] + c * step[3]
                for k in range(shape[2]):
                    at, here = row + k * wide, to + k * step[2]
                    if _alike(source, at, far, near, deep, high, wide):
                        target[here] = source[at]
                        continue
                    used = _collect(source, at, far, near, deep, high, wide, values, counts)
                    target[here] = _winner(values, counts, used, target[here])


@kernel
def _alike(source: Any, at: int, far: int, near: int, deep: int, high: int, wide: int) -> bool:
    """Whether all parts of a voxel are the same."""
    first = source[at]
    for i in range(deep):
        for j in range(high):
            row = at + i * far + j * near
            for k in range(wide):
                if source[row + k] != first:
                    return False
    return True


@kernel
def _collect(
    source: Any,
    at: int,
    far: int,
    near: int,
    deep: int,
    high: int,
    wide: int,
    values: Any,
    counts: Any,
) -> int:
    """Write which values the parts of a voxel have and how often; return how many values."""
    used, last = 0, 0
    for i in range(deep):
        for j in range(high):
            row = at + i * far + j * near
            for k in range(wide):
                value = source[row + k]
                if used > 0 and values[last] == value:  # mostly that of the part before
                    counts[last] += 1
                    continue
                last = 0
                while last < used and values[last] != value:
                    last += 1
                if last == used:
                    values[used], counts[used] = value, 0
                    used += 1
                counts[last] += 1
    return used


@kernel
def _winner(values: Any, counts: Any, used: int, center: Any) -> Any:
    """The most frequent value; of several the one at the centre, else the smallest."""
    best, most = values[0], counts[0]
    for i in range(1, used):
        value, count = values[i], counts[i]
        wins = best != center and (value == center or value < best)
        if count > most or (count == most and wins):
            best, most = value, count
    return best
