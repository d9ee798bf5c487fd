"""The loops that move voxels: one output row at a time, in three short passes.

Each row is traced (`rows.trace_row`), its coordinates are split into whole and fractional parts,
the voxels are loaded, and at last interpolated. Kept apart, the first and the last pass become
vector instructions. Leading axes (channels, samples) share the first pass. What `rows` says of
views and indices holds here too.

All kernels take: ``data``, ``out``: flat arrays; ``size``, ``stride``: int64 (4,), of the input's
three axes and of its leading axis; ``shape``, ``step``: the same of the output, in the order of
the loop; a packed program; ``fill``. ``work`` is scratch of the type in which is interpolated,
flat, in lists of ``shape[2]`` values.
"""

from __future__ import annotations

from math import floor
from typing import Any

import numpy as np
from numba import njit

from .rows import BLOCK, scratch, trace_row

_EDGE = 1e-6  # in voxels: rounding noise that still counts as inside


@njit(cache=True, nogil=True)
def _split(x: Any, at: int, n: int, size: int, stride: int, index: Any, work: Any, to: int) -> int:
    """Add lower neighbours to `index`, write fractions to ``work[to:]``; 1 if any is outside."""
    last = size - 1.0
    top = np.int32(max(size - 2, 0))
    low, high = -0.5 - _EDGE, last + 0.5 + _EDGE
    step = np.int32(stride)
    outside = 0
    for i in range(n):
        u = x[np.uint64(at + i)]
        outside |= int(u < low) | int(u > high)
        u = min(max(u, 0.0), last)
        k = min(np.int32(u), top)
        work[np.uint64(to + i)] = u - k
        index[i] += np.uint32(np.int32(k) * step)
    return outside


@njit(cache=True, nogil=True)
def _nearest(x: Any, at: int, n: int, size: int, stride: int, index: Any) -> int:
    """Add nearest neighbours to `index`; 1 if any is outside."""
    last = size - 1.0
    low, high = -0.5 - _EDGE, last + 0.5 + _EDGE
    step = np.int32(stride)
    outside = 0
    for i in range(n):
        u = x[np.uint64(at + i)]
        outside |= int(u < low) | int(u > high)
        k = np.int32(min(max(u + 0.5, 0.0), last))
        index[i] += np.uint32(k * step)
    return outside


@njit(cache=True, nogil=True)
def _fill_outside(x: Any, n: int, size: Any, out: Any, at: int, step: int, fill: Any) -> None:
    for c in range(3):
        for i in range(n):
            u = x[c * (n + BLOCK) + i]
            if u < -0.5 - _EDGE or u > size[c] - 0.5 + _EDGE:
                out[at + i * step] = fill


@njit(cache=True, nogil=True)
def _store(work: Any, row: int, n: int, out: Any, at: int, step: int, rounded: bool) -> None:
    half = work.dtype.type(0.5)
    if rounded:
        for i in range(n):
            out[np.uint64(at + i * step)] = np.floor(work[np.uint64(row + i)] + half)
    elif step == 1:
        for i in range(n):
            out[np.uint64(at + i)] = work[np.uint64(row + i)]
    else:
        for i in range(n):
            out[np.uint64(at + i * step)] = work[np.uint64(row + i)]


@njit(cache=True, nogil=True)
def _lerp(data: Any, base: int, index: Any, n: int, du: int, dv: int, work: Any, to: int) -> None:
    """Bilinear values of a row to list `to` of `work`; lists 0 and 1 are the fractions."""
    a, b, c, d = 3 * n, 4 * n, 5 * n, 6 * n
    b0, b1, b2, b3 = np.uint64(base), base + dv, base + du, base + du + dv
    for i in range(n):
        k = np.uint64(index[i])
        work[np.uint64(a + i)] = data[np.uint64(b0) + k]
        work[np.uint64(b + i)] = data[np.uint64(b1) + k]
        work[np.uint64(c + i)] = data[np.uint64(b2) + k]
        work[np.uint64(d + i)] = data[np.uint64(b3) + k]
    for i in range(n):
        f, g = work[np.uint64(i)], work[np.uint64(n + i)]
        near, far = work[np.uint64(a + i)], work[np.uint64(c + i)]
        low = near + (work[np.uint64(b + i)] - near) * g
        high = far + (work[np.uint64(d + i)] - far) * g
        work[np.uint64(to * n + i)] = low + (high - low) * f


@njit(cache=True, nogil=True)
def _blend(work: Any, n: int, low: int, high: int, weight: int) -> None:
    """Move list `low` of `work` towards list `high`."""
    for i in range(n):
        v = work[np.uint64(low * n + i)]
        w = work[np.uint64(weight * n + i)]
        work[np.uint64(low * n + i)] = v + (work[np.uint64(high * n + i)] - v) * w


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
    work: Any,
    kept: int,
    rounded: bool,
    fill: Any,
) -> None:
    """Bilinear, where input axis `kept` follows the outer axis of the loop from voxel to voxel."""
    n = shape[2]
    x, state, memory, line, ramp = scratch(ints, n)
    index = np.empty(n, np.uint32)
    u, v = (1 if kept == 0 else 0), (1 if kept == 2 else 2)
    du, dv = _neighbour(size, stride, u), _neighbour(size, stride, v)
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, x, state, memory, line, ramp)
            section = floor(x[kept * (n + BLOCK)] + 0.5)
            outside = int(section < 0 or section >= size[kept])
            section = min(max(section, 0), size[kept] - 1)
            index[:] = 0
            outside |= _split(x, u * (n + BLOCK), n, size[u], stride[u], index, work, 0)
            outside |= _split(x, v * (n + BLOCK), n, size[v], stride[v], index, work, n)
            for c in range(shape[3]):
                base = section * stride[kept] + c * stride[3]
                at = a * step[0] + b * step[1] + c * step[3]
                _lerp(data, base, index, n, du, dv, work, 2)
                _store(work, 2 * n, n, out, at, step[2], rounded)
                if outside:
                    _fill_outside(x, n, size, out, at, step[2], fill)


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
    work: Any,
    rounded: bool,
    fill: Any,
) -> None:
    """Trilinear."""
    n = shape[2]
    x, state, memory, line, ramp = scratch(ints, n)
    index = np.empty(n, np.uint32)
    dt, du, dv = (
        _neighbour(size, stride, 0),
        _neighbour(size, stride, 1),
        _neighbour(size, stride, 2),
    )
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, x, state, memory, line, ramp)
            index[:] = 0
            outside = _split(x, 0, n, size[0], stride[0], index, work, 8 * n)
            outside |= _split(x, n + BLOCK, n, size[1], stride[1], index, work, 0)
            outside |= _split(x, 2 * (n + BLOCK), n, size[2], stride[2], index, work, n)
            for c in range(shape[3]):
                at = a * step[0] + b * step[1] + c * step[3]
                _lerp(data, c * stride[3], index, n, du, dv, work, 2)
                _lerp(data, c * stride[3] + dt, index, n, du, dv, work, 7)
                _blend(work, n, 2, 7, 8)
                _store(work, 2 * n, n, out, at, step[2], rounded)
                if outside:
                    _fill_outside(x, n, size, out, at, step[2], fill)


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
    fill: Any,
) -> None:
    """Nearest neighbour; exactly between two voxels the upper one is taken."""
    n = shape[2]
    x, state, memory, line, ramp = scratch(ints, n)
    index = np.empty(n, np.uint32)
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, x, state, memory, line, ramp)
            index[:] = 0
            outside = 0
            for axis in range(3):
                begin = axis * (n + BLOCK)
                outside |= _nearest(x, begin, n, size[axis], stride[axis], index)
            for c in range(shape[3]):
                base = np.uint64(c * stride[3])
                at = a * step[0] + b * step[1] + c * step[3]
                for i in range(n):
                    out[np.uint64(at + i * step[2])] = data[base + np.uint64(index[i])]
                if outside:
                    _fill_outside(x, n, size, out, at, step[2], fill)


@njit(cache=True, nogil=True)
def bounds(shape: Any, ints: Any, pars: Any, coef: Any, low: Any, high: Any) -> None:
    """Write the least and the greatest source coordinate of all output voxels, per axis."""
    n = shape[2]
    x, state, memory, line, ramp = scratch(ints, n)
    least, most = np.full(3 * (n + BLOCK), np.inf), np.full(3 * (n + BLOCK), -np.inf)
    for a in range(shape[0]):
        for b in range(shape[1]):
            trace_row(a, b, n, ints, pars, coef, x, state, memory, line, ramp)
            for i in range(3 * (n + BLOCK)):  # the room between the rows is left out below
                least[i] = min(least[i], x[i])
                most[i] = max(most[i], x[i])
    for c in range(3):
        begin = c * (n + BLOCK)
        low[c] = least[begin : begin + n].min()
        high[c] = most[begin : begin + n].max()
