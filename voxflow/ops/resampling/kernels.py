"""The loops that move voxels: one output row at a time, in three short passes.

Each row is traced (`rows.trace_row`), its coordinates are split into whole and fractional parts,
the voxels are loaded, and at last interpolated. Kept apart, the first and the last pass become
vector instructions. Leading axes (channels, samples) share the first pass. Indices are unsigned
and arrays flat, so that no load tests for a negative index.

All kernels take: ``data``, ``out``: flat arrays; ``size``, ``stride``: int64 (4,), the input's
three axes and its number and distance of leading elements; ``shape``, ``step``: the same of the
output, in the order of the loop; a packed program; ``fill``. ``scratch`` has the type in which is
interpolated.
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
from numba import njit

from .rows import trace_row

_EDGE = 1e-6  # in voxels: rounding noise that still counts as inside


@njit(cache=True, nogil=True)
def _split(x: Any, n: int, size: int, stride: int, index: Any, rest: Any) -> int:
    """Add each voxel's lower neighbour to `index`, write its fraction; 1 if any is outside."""
    last = size - 1.0
    top = max(size - 2, 0)
    low, high = -0.5 - _EDGE, last + 0.5 + _EDGE
    step = np.int32(stride)
    outside = 0
    for i in range(n):
        u = x[i]
        outside |= int(u < low) | int(u > high)
        u = min(max(u, 0.0), last)
        k = min(np.int32(u), np.int32(top))
        rest[i] = u - k
        index[i] += np.uint32(np.int32(k) * step)
    return outside


@njit(cache=True, nogil=True)
def _nearest(x: Any, n: int, size: int, stride: int, index: Any) -> int:
    """Add each voxel's nearest neighbour to `index`; return 1 if any is outside."""
    last = size - 1.0
    low, high = -0.5 - _EDGE, last + 0.5 + _EDGE
    step = np.int32(stride)
    outside = 0
    for i in range(n):
        u = x[i]
        outside |= int(u < low) | int(u > high)
        k = np.int32(min(max(u + 0.5, 0.0), last))
        index[i] += np.uint32(k * step)
    return outside


@njit(cache=True, nogil=True)
def _fill_outside(x: Any, n: int, size: Any, out: Any, at: int, step: int, fill: Any) -> None:
    for i in range(n):
        for c in range(3):
            if x[c, i] < -0.5 - _EDGE or x[c, i] > size[c] - 0.5 + _EDGE:
                out[at + i * step] = fill


@njit(cache=True, nogil=True)
def _store(row: Any, n: int, out: Any, at: int, step: int, rounded: bool) -> None:
    if rounded:
        for i in range(n):
            out[at + i * step] = np.floor(row[i] + row.dtype.type(0.5))
    elif step == 1:
        for i in range(n):
            out[at + i] = row[i]
    else:
        for i in range(n):
            out[at + i * step] = row[i]


@njit(cache=True, nogil=True)
def _lerp_2d(data: Any, base: int, index: Any, n: int, du: int, dv: int, work: Any) -> None:
    """Bilinear values of a row: `work[0:2]` are the fractions, the result is in `work[2]`."""
    a, b, c, d = work[2], work[3], work[4], work[5]
    u, v, uv = base + du, base + dv, base + du + dv
    for i in range(n):
        k = np.uint64(index[i])
        a[i] = data[np.uint64(base) + k]
        b[i] = data[np.uint64(v) + k]
        c[i] = data[np.uint64(u) + k]
        d[i] = data[np.uint64(uv) + k]
    f, g = work[0], work[1]
    for i in range(n):
        low = a[i] + (b[i] - a[i]) * g[i]
        high = c[i] + (d[i] - c[i]) * g[i]
        a[i] = low + (high - low) * f[i]


@njit(cache=True, nogil=True)
def _neighbour(size: Any, stride: Any, axis: int) -> int:
    """Distance to the upper neighbour; 0 along an axis that has none."""
    if size[axis] > 1:
        return int(stride[axis])
    return 0


@njit(cache=True, nogil=True)
def linear_sections(
    data: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    ints: Any,
    pars: Any,
    coef: Any,
    line: Any,
    scratch: Any,
    kept: int,
    rounded: bool,
    fill: Any,
) -> None:
    """Bilinear, where input axis `kept` follows the outer axis of the loop from voxel to voxel."""
    n = shape[2]
    x, small = np.empty((3, n)), np.empty((8, 4))
    index = np.empty(n, np.uint32)
    u, v = (1 if kept == 0 else 0), (1 if kept == 2 else 2)
    du, dv = _neighbour(size, stride, u), _neighbour(size, stride, v)
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, line, small, x)
            at = a * step[0] + b * step[1]
            section = floor(x[kept, 0] + 0.5)
            outside = int(section < 0 or section >= size[kept])
            if not outside:
                index[:] = 0
                outside |= _split(x[u], n, size[u], stride[u], index, scratch[0])
                outside |= _split(x[v], n, size[v], stride[v], index, scratch[1])
            section = min(max(section, 0), size[kept] - 1)
            for c in range(shape[3]):
                base = section * stride[kept] + c * stride[3]
                _lerp_2d(data, base, index, n, du, dv, scratch)
                _store(scratch[2], n, out, at + c * step[3], step[2], rounded)
                if outside:
                    _fill_outside(x, n, size, out, at + c * step[3], step[2], fill)


@njit(cache=True, nogil=True)
def _lerp_3d(data: Any, base: int, index: Any, n: int, by: Any, work: Any) -> None:
    """Trilinear values of a row: `work[0], [1], [6]` are the fractions, the result in `work[2]`."""
    _lerp_2d(data, base + by[0], index, n, by[1], by[2], work)
    for i in range(n):
        work[7, i] = work[2, i]
    _lerp_2d(data, base, index, n, by[1], by[2], work)
    low, high, f = work[2], work[7], work[6]
    for i in range(n):
        low[i] = low[i] + (high[i] - low[i]) * f[i]


@njit(cache=True, nogil=True)
def linear_volume(
    data: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    ints: Any,
    pars: Any,
    coef: Any,
    line: Any,
    scratch: Any,
    rounded: bool,
    fill: Any,
) -> None:
    """Trilinear."""
    n = shape[2]
    x, small = np.empty((3, n)), np.empty((8, 4))
    index = np.empty(n, np.uint32)
    by = np.empty(3, np.int64)
    for axis in range(3):
        by[axis] = _neighbour(size, stride, axis)
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, line, small, x)
            at = a * step[0] + b * step[1]
            index[:] = 0
            outside = _split(x[0], n, size[0], stride[0], index, scratch[6])
            outside |= _split(x[1], n, size[1], stride[1], index, scratch[0])
            outside |= _split(x[2], n, size[2], stride[2], index, scratch[1])
            for c in range(shape[3]):
                _lerp_3d(data, c * stride[3], index, n, by, scratch)
                _store(scratch[2], n, out, at + c * step[3], step[2], rounded)
                if outside:
                    _fill_outside(x, n, size, out, at + c * step[3], step[2], fill)


@njit(cache=True, nogil=True)
def nearest(
    data: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    ints: Any,
    pars: Any,
    coef: Any,
    line: Any,
    fill: Any,
) -> None:
    """Nearest neighbour; exactly between two voxels the upper one is taken."""
    n = shape[2]
    x, small = np.empty((3, n)), np.empty((8, 4))
    index = np.empty(n, np.uint32)
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, line, small, x)
            index[:] = 0
            outside = 0
            for axis in range(3):
                outside |= _nearest(x[axis], n, size[axis], stride[axis], index)
            at = a * step[0] + b * step[1]
            for c in range(shape[3]):
                base, to = np.uint64(c * stride[3]), at + c * step[3]
                for i in range(n):
                    out[to + i * step[2]] = data[base + np.uint64(index[i])]
                if outside:
                    _fill_outside(x, n, size, out, to, step[2], fill)


@njit(cache=True, nogil=True)
def bounds(shape: Any, ints: Any, pars: Any, coef: Any, line: Any, low: Any, high: Any) -> None:
    """Write the least and the greatest source coordinate of all output voxels, per axis."""
    n = shape[2]
    x, small = np.empty((3, n)), np.empty((8, 4))
    low[:] = np.inf
    high[:] = -np.inf
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, line, small, x)
            for c in range(3):
                least, most = low[c], high[c]
                for i in range(n):
                    least = min(least, x[c, i])
                    most = max(most, x[c, i])
                low[c], high[c] = least, most
