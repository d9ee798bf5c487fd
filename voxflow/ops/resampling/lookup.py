"""From the coordinates of a row to indices, fractions and voxels.

Kept apart, the passes over a row become vector instructions. A list of one axis begins at
``axis * room``: pieces are written in whole blocks, and the next piece, or nobody, overwrites the
surplus. What `rows` says of arrays, views and indices holds here too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.pipeline.compiled import kernel

from ..pointers import as_element, move_pair, prefetch
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
    scratch: Any, at: int, ramp: int, count: int, stride: int, index: Any, work: Any, to: int
) -> None:
    """What `split` writes for a piece that is known to lie inside of the data."""
    b0, b1, b2, b3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
    step = np.int32(stride)
    for i in range(count):
        r = scratch[ramp + i]
        u = ((b3 * r + b2) * r + b1) * r + b0
        k = np.int32(u)
        work[to + i] = u - k
        index[to + i] = np.uint32(k * step)


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
    index
        uint32.
    work
        of the type in which is interpolated.

    Returns
    -------
    int
        1 if a voxel of the row may lie outside of the data along this axis, 0 if none does.
    """
    last = size - 1.0
    top = np.int32(max(size - 2, 0))
    step = np.int32(stride)
    outside = 0
    if used == 0:
        to = axis * room
        for i in range(n):
            u = scratch[x + to + i]
            inside = min(max(u, 0.0), last)
            outside |= int(inside != u)
            k = min(np.int32(inside), top)
            work[to + i] = inside - k
            index[to + i] = np.uint32(np.int32(k) * step)
    for p in range(used):
        at = PIECES + p * PIECE + COEFFICIENTS + 4 * axis
        begin, end = ends(scratch, p)
        to, ramp = axis * room + begin, x + 3 * room
        count = (end - begin + BLOCK - 1) // BLOCK * BLOCK
        low, high = _hull(scratch, at, end - begin)
        if low >= 0.0 and high < last:
            _split_inside(scratch, at, ramp, count, stride, index, work, to)
            continue
        b0, b1, b2, b3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
        for i in range(count):
            r = scratch[ramp + i]
            u = ((b3 * r + b2) * r + b1) * r + b0
            inside = min(max(u, 0.0), last)
            outside |= int(inside != u)
            k = min(np.int32(inside), top)
            work[to + i] = inside - k
            index[to + i] = np.uint32(np.int32(k) * step)
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
    index: Any,
) -> int:
    """Write the nearest neighbours along `axis` to `index`; as `split` says."""
    last = size - 1.0
    low, high = -0.5 - _EDGE, last + 0.5 + _EDGE
    step = np.int32(stride)
    outside = 0
    if used == 0:
        to = axis * room
        for i in range(n):
            u = scratch[x + to + i]
            outside |= int(u < low) | int(u > high)
            index[to + i] = np.uint32(np.int32(min(max(u + 0.5, 0.0), last)) * step)
    for p in range(used):
        at = PIECES + p * PIECE + COEFFICIENTS + 4 * axis
        b0, b1, b2, b3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
        begin, end = ends(scratch, p)
        to, ramp = axis * room + begin, x + 3 * room
        for i in range((end - begin + BLOCK - 1) // BLOCK * BLOCK):
            r = scratch[ramp + i]
            u = ((b3 * r + b2) * r + b1) * r + b0
            outside |= int(u < low) | int(u > high)
            index[to + i] = np.uint32(np.int32(min(max(u + 0.5, 0.0), last)) * step)
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
def load(
    data: Any, base: int, index: Any, u: int, v: int, n: int, du: int, dv: int, pairs: Any
) -> None:
    """Fetch the four neighbours of each voxel of a row: two pairs for each, near and far along u.

    ``index[u:]`` and ``index[v:]`` hold what each of the two axes adds to `base`.
    """
    far = 2 * n
    if dv == 1:
        for i in range(n):
            k = base + np.int64(index[u + i]) + np.int64(index[v + i])
            move_pair(data, k, pairs, 2 * i)
            move_pair(data, k + du, pairs, far + 2 * i)
    else:
        for i in range(n):
            k = base + np.int64(index[u + i]) + np.int64(index[v + i])
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
