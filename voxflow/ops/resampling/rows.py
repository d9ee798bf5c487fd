"""Where the voxels of one output row come from: the map, evaluated row by row.

A row starts as a straight line (a start and a step), stays one as long as stages are linear, and
becomes three buffers of coordinates at the first field. A field is evaluated along an axis-aligned
line without a lookup per voxel: the control points around the line are summed to one short list of
coefficients, and between two control points every voxel is a cubic polynomial in its index.
The coordinates of a row stay in the first-level cache; nothing of the array's size is built.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import numpy as np
from numba import njit

#: Kinds of stages, as the kernels know them (first column of the integer table).
LINEAR, FIELD, TABLE = 0, 1, 2
#: Columns of the two tables of a packed program, see `program.pack`.
N_INTS, N_FLOATS = 10, 18

_SECTION_EDGE = 1e-6  # sections begin this early, so that centres on an edge always fall upwards


@njit(cache=True, nogil=True)
def basis(t: float, single: bool, out: Any) -> None:
    """Write the 4 cubic B-spline weights at fraction `t` (1, 0, 0, 0 for a single point)."""
    if single:
        out[0] = 1.0
        out[1] = out[2] = out[3] = 0.0
        return
    s = 1.0 - t
    out[0] = s * s * s / 6.0
    out[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0
    out[2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0
    out[3] = t * t * t / 6.0


@njit(cache=True, nogil=True)
def slope(t: float, single: bool, out: Any) -> None:
    """Write the derivatives of the 4 cubic B-spline weights at fraction `t`."""
    if single:
        out[0] = out[1] = out[2] = out[3] = 0.0
        return
    s = 1.0 - t
    out[0] = -0.5 * s * s
    out[1] = 1.5 * t * t - 2.0 * t
    out[2] = 2.0 * s - 1.5 * s * s
    out[3] = 0.5 * t * t


@njit(cache=True, nogil=True)
def cell_of(u: float, count: int) -> tuple[int, float]:
    """Clamp a position in control-point units; return its cell and the fraction within."""
    if count == 1:
        return 0, 0.0
    u = min(max(u, 0.0), count - 1.0)
    k = min(int(u), count - 2)
    return k, u - k


@njit(cache=True, nogil=True)
def section_of(z: float, origin: float, inverse: float, count: int) -> int:
    """Number of the section that holds `z`, clamped to the table."""
    return min(max(floor((z - origin) * inverse + _SECTION_EDGE), 0), count - 1)


@njit(cache=True, nogil=True)
def _field_at_point(coef: Any, ints: Any, par: Any, p: Any, weights: Any, value: Any) -> None:
    """`value[c] +=` the field at `p`, any position; the slow way, 4 weights per axis."""
    base = ints[1]
    for a in range(3):
        k, t = cell_of((p[a] - par[12 + a]) * par[15 + a], ints[2 + a])
        basis(t, ints[2 + a] == 1, weights[a])
        base += k * ints[5 + a]
    taps0 = 1 if ints[2] == 1 else 4
    taps1 = 1 if ints[3] == 1 else 4
    taps2 = 1 if ints[4] == 1 else 4
    for c in range(3):
        if not (ints[9] >> c) & 1:
            continue
        total = 0.0
        for i in range(taps0):
            for j in range(taps1):
                at = base + c * ints[8] + i * ints[5] + j * ints[6]
                w = weights[0, i] * weights[1, j]
                for k in range(taps2):
                    total += w * weights[2, k] * coef[at + k * ints[7]]
        value[c] += total


@njit(cache=True, nogil=True)
def _contract(coef: Any, ints: Any, par: Any, p: Any, run: int, weights: Any, line: Any) -> None:
    """Sum the control points around an axis-aligned line to `line[c, :]`, one per point on it."""
    a = 0 if run != 0 else 1
    b = 2 if run != 2 else 1
    base = ints[1]
    ka, ta = cell_of((p[a] - par[12 + a]) * par[15 + a], ints[2 + a])
    kb, tb = cell_of((p[b] - par[12 + b]) * par[15 + b], ints[2 + b])
    basis(ta, ints[2 + a] == 1, weights[0])
    basis(tb, ints[2 + b] == 1, weights[1])
    base += ka * ints[5 + a] + kb * ints[5 + b]
    taps_a = 1 if ints[2 + a] == 1 else 4
    taps_b = 1 if ints[2 + b] == 1 else 4
    n = ints[2 + run] + 2 if ints[2 + run] > 1 else 1
    step = ints[5 + run]
    for c in range(3):
        if not (ints[9] >> c) & 1:
            continue
        for k in range(n):
            line[c, k] = 0.0
        for i in range(taps_a):
            for j in range(taps_b):
                w = weights[0, i] * weights[1, j]
                at = base + c * ints[8] + i * ints[5 + a] + j * ints[5 + b]
                for k in range(n):
                    line[c, k] += w * coef[at + k * step]


@njit(cache=True, nogil=True)
def _cubic(
    x: Any, begin: int, end: int, u: float, du: float, line: Any, q: float, e: float
) -> None:
    """Write ``q + e * i`` plus the cubic of one cell: `line` has its 4 weights, t = u + du * i."""
    c0, c1, c2, c3 = line[0], line[1], line[2], line[3]
    a0 = (c0 + 4.0 * c1 + c2) / 6.0 + q
    a1 = (c2 - c0) * 0.5
    a2 = (c0 - 2.0 * c1 + c2) * 0.5
    a3 = (c3 - c0 + 3.0 * (c1 - c2)) / 6.0
    for i in range(begin, end):
        t = u + du * i
        x[i] = ((a3 * t + a2) * t + a1) * t + (a0 + e * i)


@njit(cache=True, nogil=True)
def _line(x: Any, begin: int, end: int, q: float, e: float) -> None:
    for i in range(begin, end):
        x[i] = q + e * i


@njit(cache=True, nogil=True)
def _segment_end(i: int, u0: float, du: float, count: int, n: int) -> tuple[int, int]:
    """Last index + 1 up to which a row stays in the cell of voxel `i`; and that cell.

    Cell -1 and cell ``count - 1`` are the constant continuations beyond the control points.
    """
    u = u0 + du * i
    cell = -1 if u < 0.0 else min(int(u), count - 1)
    if u > 0.0 and cell == count - 1 and u == cell:
        cell = count - 2
    if du > 0.0:
        end = n if cell == count - 1 else ceil((cell + 1 - u0) / du)
    elif du < 0.0:
        end = n if cell == -1 else ceil((cell - u0) / du)
    else:
        end = n
    return min(max(end, i + 1), n), cell


@njit(cache=True, nogil=True)
def _field_along_axis(
    coef: Any,
    ints: Any,
    par: Any,
    p: Any,
    d: Any,
    q: Any,
    e: Any,
    n: int,
    weights: Any,
    line: Any,
    x: Any,
) -> None:
    """After a field stage, for a row along one axis: ``q + e * i + field(p + d * i)``."""
    run = 0 if d[0] != 0.0 else (1 if d[1] != 0.0 else 2)
    _contract(coef, ints, par, p, run, weights, line)
    count = ints[2 + run]
    u0 = (p[run] - par[12 + run]) * par[15 + run]
    du = d[run] * par[15 + run]
    for c in range(3):
        if not (ints[9] >> c) & 1:
            _line(x[c], 0, n, q[c], e[c])
        elif count == 1:
            _line(x[c], 0, n, q[c] + line[c, 0], e[c])
    if count == 1:
        return
    i = 0
    while i < n:
        end, cell = _segment_end(i, u0, du, count, n)
        for c in range(3):
            if not (ints[9] >> c) & 1:
                continue
            if cell < 0:
                flat = (line[c, 0] + 4.0 * line[c, 1] + line[c, 2]) / 6.0
                _line(x[c], i, end, q[c] + flat, e[c])
            elif cell >= count - 1:
                m = count - 1
                flat = (line[c, m] + 4.0 * line[c, m + 1] + line[c, m + 2]) / 6.0
                _line(x[c], i, end, q[c] + flat, e[c])
            else:
                _cubic(x[c], i, end, u0 - cell, du, line[c, cell:], q[c], e[c])
        i = end


@njit(cache=True, nogil=True)
def _stage_per_voxel(
    kind: int, ints: Any, par: Any, coef: Any, n: int, weights: Any, x: Any
) -> None:
    """Apply a stage to coordinates that no longer lie on an axis-aligned line."""
    p = np.empty(3)
    v = np.empty(3)
    for i in range(n):
        p[0] = x[0, i]
        p[1] = x[1, i]
        p[2] = x[2, i]
        for c in range(3):
            v[c] = par[3 * c] * p[0] + par[3 * c + 1] * p[1] + par[3 * c + 2] * p[2] + par[9 + c]
        if kind == FIELD:
            _field_at_point(coef, ints, par, p, weights, v)
        elif kind == TABLE:
            k = section_of(p[ints[2]], par[12], par[13], ints[3])
            for c in range(3):
                v[c] += coef[ints[1] + 3 * k + c]
        x[0, i] = v[0]
        x[1, i] = v[1]
        x[2, i] = v[2]


@njit(cache=True, nogil=True)
def _snap(p: Any, d: Any) -> None:
    """Remove rounding noise, so that what is meant to fall on voxel centres or edges does."""
    for c in range(3):
        half = np.rint(2.0 * p[c]) * 0.5
        if abs(p[c] - half) < 1e-6:
            p[c] = half
        whole = np.rint(d[c])
        if abs(d[c] - whole) < 1e-9:
            d[c] = whole


@njit(cache=True, nogil=True)
def trace_row(
    a: int, b: int, n: int, ints: Any, pars: Any, coef: Any, line: Any, small: Any, x: Any
) -> None:
    """Write the source coordinates of the `n` voxels of output row (a, b).

    Args:
        a: index of the row along the outer axis of the loop.
        b: index of the row along the middle axis of the loop.
        n: voxels in the row.
        ints: the packed program's integers, (stages, N_INTS).
        pars: the packed program's floats, (stages, N_FLOATS).
        coef: spline coefficients and section tables, flat.
        line: scratch, float64, (3, most control points along an axis + 2).
        small: scratch, float64, (8, 4).
        x: the result, float64, (3, n), in input voxels (centre of voxel k = k).
    """
    p, d, q, e, weights = small[0], small[1], small[2], small[3], small[4:7]
    p[0], p[1], p[2] = a, b, 0.0
    d[0], d[1], d[2] = 0.0, 0.0, 1.0
    straight = True
    for s in range(ints.shape[0]):
        kind, par = ints[s, 0], pars[s]
        along = (d[0] != 0.0) + (d[1] != 0.0) + (d[2] != 0.0) <= 1
        keeps = kind == LINEAR or (kind == TABLE and d[ints[s, 2]] == 0.0)
        if not straight or not (keeps or (kind == FIELD and along)):
            if straight:
                for c in range(3):
                    _line(x[c], 0, n, p[c], d[c])
                straight = False
            _stage_per_voxel(kind, ints[s], par, coef, n, weights, x)
            continue
        for c in range(3):
            q[c] = par[3 * c] * p[0] + par[3 * c + 1] * p[1] + par[3 * c + 2] * p[2] + par[9 + c]
            e[c] = par[3 * c] * d[0] + par[3 * c + 1] * d[1] + par[3 * c + 2] * d[2]
        if kind == FIELD:
            _field_along_axis(coef, ints[s], par, p, d, q, e, n, weights, line, x)
            straight = False
            continue
        if kind == TABLE:
            k = section_of(p[ints[s, 2]], par[12], par[13], ints[s, 3])
            for c in range(3):
                q[c] += coef[ints[s, 1] + 3 * k + c]
        for c in range(3):
            p[c] = q[c]
            d[c] = e[c]
    if straight:
        _snap(p, d)
        for c in range(3):
            _line(x[c], 0, n, p[c], d[c])
