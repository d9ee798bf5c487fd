"""From the coordinates of a row to indices, fractions and voxels.

Kept apart, the passes over a row become vector instructions. What all rows have in common with
most others, that they are lines inside of the data, is done in one pass for each axis. Pieces are
written in whole blocks, and the next piece, or nobody, overwrites the surplus. What `rows` says of
arrays, views and indices holds here too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.pipeline.compiled import kernel

from ..pointers import as_element, move_pair, prefetch
from . import lines
from .borders import folded
from .rows import BLOCK, COEFFICIENTS, PIECE, PIECES, coordinate, ends

_EDGE = 1e-6  # in voxels: rounding noise that still counts as inside


@kernel
def _hull(scratch: Any, at: int, length: int) -> tuple[float, float]:
    """Between which numbers the cubic at `at` lies for 0, ..., `length` - 1.

    A polynomial lies in the convex hull of its Bernstein coefficients.
    """
    reach = length - 1.0
    b0, b1 = scratch[at], scratch[at + 1] * reach
    b2, b3 = scratch[at + 2] * reach * reach, scratch[at + 3] * reach * reach * reach
    first, second = b0 + b1 * (1.0 / 3.0), b0 + (2.0 * b1 + b2) * (1.0 / 3.0)
    last = b0 + b1 + b2 + b3
    return min(b0, first, second, last), max(b0, first, second, last)


@kernel
def _split_inside(
    scratch: Any, at: int, ramp: int, count: int, step: Any, index: Any, here: int, work: Any,
    to: int,
) -> None:  # fmt: skip
    """What `split` writes for a piece inside of the data."""
    b0, b1, b2, b3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
    for i in range(count):
        r = scratch[ramp + i]
        u = ((b3 * r + b2) * r + b1) * r + b0
        k = np.int32(u)
        work[to + i] = u - k
        index[here + i] = np.uint32(k * step)


@kernel
def _split_any(
    scratch: Any, x: int, count: int, size: int, step: Any, half: float, period: float, index: Any,
    here: int, work: Any, to: int,
) -> int:  # fmt: skip
    """What `split` writes, and returns, for coordinates that may lie outside of the data."""
    last, top, outside = size - 1.0, np.int32(max(size - 2, 0)), 0
    if period != 0.0:
        inverse = 1.0 / period
        for i in range(count):
            inside = min(max(folded(scratch[x + i], half, period, inverse), 0.0), last)
            k = min(np.int32(inside), top)
            work[to + i] = inside - k
            index[here + i] = np.uint32(np.int32(k) * step)
        return 0
    for i in range(count):
        u = scratch[x + i]
        inside = min(max(u, 0.0), last)
        outside |= int(inside != u)
        k = min(np.int32(inside), top)
        work[to + i] = inside - k
        index[here + i] = np.uint32(np.int32(k) * step)
    return outside


@kernel
def split(
    scratch: Any,
    x: int,
    used: int,
    axis: int,
    n: int,
    room: int,
    size: int,
    stride: int,
    half: float,
    period: float,
    more: bool,
    index: Any,
    work: Any,
) -> int:
    """Write the lower neighbours along `axis` to `index`, and the fractions above them to `work`.

    Parameters
    ----------
    scratch
        holds the traced row.
    x
        where coordinates that are written out begin in it.
    used
        what `trace_row` returned.
    axis
        of the input.
    n
        voxels of the row.
    room
        as of `scratch`.
    size
        voxels of the input along the axis.
    stride
        from voxel to voxel along it.
    half, period
        how the data go on beyond their borders along the axis (see `borders`).
    more
        whether the neighbours are added to those along other axes, which are there.
    index
        uint32; from `room` on it is room for others.
    work
        of the type in which is interpolated; fractions begin at ``axis * room``.

    Returns
    -------
    int
        1 if a voxel of the row may lie outside of the data along this axis, 0 if none does.
    """
    last, step, ramp, to, outside = size - 1.0, np.int32(stride), x + 3 * room, axis * room, 0
    at = PIECES + COEFFICIENTS + 4 * axis
    if lines.is_line(scratch, used, at):
        begin, end = lines.inner(scratch, n, at, 0.0, last)
        if period != 0.0:
            folds = size, step, half, period, more, index, work, to
            lines.split_folded(scratch, at, ramp, 0, begin, *folds)
            if end < n:
                lines.split_folded(scratch, at, ramp, end, _whole(n), *folds)
        if period != 0.0 or end - begin == n:
            lines.split_line(scratch, at, ramp, begin, _whole(end), step, more, index, work, to)
            return 0
    if used == 0:
        outside = _split_any(scratch, x + to, n, size, step, half, period, index, room, work, to)
    for p in range(used):
        begin, end = ends(scratch, p)
        count, here = _whole(end - begin), PIECE * p + at
        low, high = _hull(scratch, here, end - begin)
        if low >= 0.0 and high < last:
            _split_inside(scratch, here, ramp, count, step, index, room + begin, work, to + begin)
            continue
        _evaluate(scratch, here, ramp, count, x + to + begin)
        outside |= _split_any(
            scratch, x + to + begin, count, size, step, half, period, index, room + begin, work,
            to + begin,
        )  # fmt: skip
    _join(index, room, n, more)
    return outside


@kernel
def _whole(n: int) -> int:
    """So many voxels in whole blocks."""
    return (n + BLOCK - 1) // BLOCK * BLOCK


@kernel
def _evaluate(scratch: Any, at: int, ramp: int, count: int, to: int) -> None:
    """Write out the coordinates of a piece."""
    b0, b1, b2, b3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
    for i in range(count):
        r = scratch[ramp + i]
        scratch[to + i] = ((b3 * r + b2) * r + b1) * r + b0


@kernel
def _join(index: Any, room: int, n: int, more: bool) -> None:
    """Write what begins at `room` to the beginning, or add it."""
    for i in range(n):
        index[i] = index[room + i] + (index[i] if more else np.uint32(0))


@kernel
def _nearest_any(
    scratch: Any, x: int, count: int, size: int, step: Any, half: float, period: float, index: Any,
    here: int,
) -> int:  # fmt: skip
    """What `nearest` writes, and returns, for coordinates that may lie outside of the data."""
    last, outside = size - 1.0, 0
    if period != 0.0:
        inverse = 1.0 / period
        for i in range(count):
            k = folded(np.floor(scratch[x + i] + 0.5), half, period, inverse)
            index[here + i] = np.uint32(np.int32(min(max(k, 0.0), last)) * step)
        return 0
    low, high = -0.5 - _EDGE, last + 0.5 + _EDGE
    for i in range(count):
        u = scratch[x + i]
        outside |= int(u < low) | int(u > high)
        index[here + i] = np.uint32(np.int32(min(max(u + 0.5, 0.0), last)) * step)
    return outside


@kernel
def nearest(
    scratch: Any,
    x: int,
    used: int,
    axis: int,
    n: int,
    room: int,
    size: int,
    stride: int,
    half: float,
    period: float,
    more: bool,
    index: Any,
) -> int:
    """Write the nearest neighbours along `axis` to `index`; as `split` says."""
    step, ramp, to, outside = np.int32(stride), x + 3 * room, axis * room, 0
    at = PIECES + COEFFICIENTS + 4 * axis
    if lines.is_line(scratch, used, at):
        begin, end = lines.inner(scratch, n, at, -0.5, size - 0.5 - _EDGE)
        if period != 0.0:
            folds = size, step, half, period, more, index
            lines.nearest_folded(scratch, at, ramp, 0, begin, *folds)
            if end < n:
                lines.nearest_folded(scratch, at, ramp, end, _whole(n), *folds)
        if period != 0.0 or end - begin == n:
            lines.nearest_line(scratch, at, ramp, begin, _whole(end), step, more, index)
            return 0
    if used == 0:
        outside = _nearest_any(scratch, x + to, n, size, step, half, period, index, room)
    for p in range(used):
        begin, end = ends(scratch, p)
        count, here = _whole(end - begin), x + to + begin
        _evaluate(scratch, PIECE * p + at, ramp, count, here)
        outside |= _nearest_any(scratch, here, count, size, step, half, period, index, room + begin)
    _join(index, room, n, more)
    return outside


@kernel
def fill_outside(
    scratch: Any,
    x: int,
    used: int,
    n: int,
    room: int,
    sizes: Any,
    out: Any,
    at: int,
    step: int,
    fill: Any,
) -> None:
    """Write `fill` where a voxel of the row lies outside of the data."""
    for c in range(3):
        low, high = -0.5 - _EDGE, sizes[c] - 0.5 + _EDGE
        if used == 0:
            for i in range(n):
                u = scratch[x + c * room + i]
                if u < low or u > high:
                    out[at + i * step] = fill
        for p in range(used):
            begin, end = ends(scratch, p)
            for i in range(begin, end):
                u = coordinate(scratch, p, c, 1.0 * (i - begin))
                if u < low or u > high:
                    out[at + i * step] = fill


@kernel
def fetch_part(data: Any, base: int, extent: int, line: int, part: int, parts: int) -> None:
    """Have one of several equal parts of ``data[base : base + extent]`` brought near.

    A turned row crosses lines of memory in an order that the processor does not foresee.
    """
    for k in range(extent * part // parts, extent * (part + 1) // parts, line):
        prefetch(data, base + k)


@kernel
def load(data: Any, base: int, index: Any, n: int, du: int, dv: int, pairs: Any) -> None:
    """Fetch the four neighbours of each voxel of a row: two pairs for each, near and far along u.

    `index` holds what is added to `base`.
    """
    far = 2 * n
    if dv == 1:
        for i in range(n):
            k = base + np.int64(index[i])
            move_pair(data, k, pairs, 2 * i)
            move_pair(data, k + du, pairs, far + 2 * i)
    else:
        for i in range(n):
            k = base + np.int64(index[i])
            pairs[2 * i] = data[k]
            pairs[2 * i + 1] = data[k + dv]
            pairs[far + 2 * i] = data[k + du]
            pairs[far + 2 * i + 1] = data[k + du + dv]


@kernel
def lerp(pairs: Any, n: int, work: Any, u: int, v: int, to: int) -> None:
    """Bilinear values to ``work[to:]``, with the fractions ``work[u:]`` and ``work[v:]``."""
    for i in range(n):
        f, g = work[u + i], work[v + i]
        near, far = as_element(work, pairs[2 * i]), as_element(work, pairs[2 * n + 2 * i])
        low = near + (as_element(work, pairs[2 * i + 1]) - near) * g
        high = far + (as_element(work, pairs[2 * n + 2 * i + 1]) - far) * g
        work[to + i] = low + (high - low) * f


@kernel
def pick(data: Any, base: int, index: Any, n: int, out: Any, at: int, step: int) -> None:
    """Fetch one voxel for each voxel of a row."""
    for i in range(n):
        out[at + i * step] = data[base + np.int64(index[i])]


@kernel
def blend(work: Any, n: int, low: int, high: int, weight: int) -> None:
    """Move ``work[low:]`` towards ``work[high:]``."""
    for i in range(n):
        v = work[low + i]
        w = work[weight + i]
        work[low + i] = v + (work[high + i] - v) * w


@kernel
def neighbour(size: int, stride: int) -> int:
    """Distance to the upper neighbour; 0 along an axis that has none."""
    return stride if size > 1 else 0


@kernel
def store(work: Any, row: int, n: int, out: Any, at: int, step: int, rounded: bool) -> None:
    """Write ``work[row:]`` to a row of the output, rounded to whole numbers if that is asked."""
    half = as_element(work, 0.5)
    if rounded:
        for i in range(n):
            out[at + i * step] = np.floor(work[row + i] + half)
    elif step == 1:
        for i in range(n):
            out[at + i] = work[row + i]
    else:
        for i in range(n):
            out[at + i * step] = work[row + i]
