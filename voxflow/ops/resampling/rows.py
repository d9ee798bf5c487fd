"""Where the voxels of one output row come from: the map, evaluated row by row.

A row starts as a straight line (a start and a step), stays one as long as stages are linear, and
becomes three lists of coordinates at the first field. A field is evaluated along an axis-aligned
line without a lookup per voxel: the control points around the line are summed to one short list of
weights, and between two control points every voxel is a cubic polynomial in its index. The
coordinates of a row stay in the first-level cache; nothing of the array's size is built.

Two rules keep the loops fast. No function makes a view of an array, since views are counted, which
costs more than the work on a row; places in flat arrays are passed instead. And an index that is
not plainly positive is cast to unsigned, since signed ones are tested for counting from the end.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import numpy as np
from numba import njit

from .spline import FIELD, POSITION, SPACING, active, basis, cell_of, field_at

#: Kinds of stages, as the kernels know them (first column of the integer table).
LINEAR, TABLE = 0, 2
#: Rows are written in blocks of this many voxels: coordinates need room for one more block.
BLOCK = 16

# Rows of the small table of a row's state: position and step before and after a stage, weights.
_P, _D, _Q, _E, _WEIGHTS = 0, 1, 2, 3, 4

_SECTION_EDGE = 1e-6  # sections begin this early, so that centres on an edge always fall upwards


@njit(cache=True, nogil=True)
def scratch(ints: Any, n: int) -> Any:
    """Arrays that `trace_row` works in: coordinates, state, memory, line of weights, ramp.

    The memory holds what the next row may use again. The coordinates of axis `c` of the traced row
    begin at ``c * (n + BLOCK)``.
    """
    most, longest = 0, 4
    for s in range(ints.shape[0]):
        a, b, c = ints[s, 10], ints[s, 11], ints[s, 12]
        most = max(most, a * b, a * c, b * c)
        longest = max(longest, a, b, c)
    memory = np.empty(3 + 3 * most)
    memory[:3] = -1.0
    ramp = np.arange(n + BLOCK) * 1.0
    x = np.zeros(3 * (n + BLOCK))
    return x, np.zeros((8, 4)), memory, np.empty(3 * longest), ramp


@njit(cache=True, nogil=True)
def section_of(z: float, origin: float, inverse: float, count: int) -> int:
    """Number of the section that holds `z`, clamped to the table."""
    return min(max(floor((z - origin) * inverse + _SECTION_EDGE), 0), count - 1)


@njit(cache=True, nogil=True)
def _weigh(
    source: Any,
    at: int,
    far: int,
    taps: int,
    near: int,
    size: int,
    state: Any,
    row: int,
    out: Any,
    to: int,
) -> None:
    """``out[to + k] = sum of weight i * source[at + i * far + k * near]`` over 1 or 4 `taps`."""
    w0, w1, w2, w3 = state[row, 0], state[row, 1], state[row, 2], state[row, 3]
    for k in range(size):
        here = at + k * near
        total = w0 * source[np.uint64(here)]
        if taps > 1:
            total += w1 * source[np.uint64(here + far)]
            total += w2 * source[np.uint64(here + 2 * far)]
            total += w3 * source[np.uint64(here + 3 * far)]
        out[np.uint64(to + k)] = total


@njit(cache=True, nogil=True)
def _contract(
    coef: Any, ints: Any, pars: Any, s: int, run: int, state: Any, memory: Any, line: Any
) -> int:
    """Sum the control points around an axis-aligned line to one weight per point on it.

    The weights of component `c` begin at ``line[c * n]``, with the returned `n`. The sum over the
    first of the two axes across the line is kept in `memory` for the next row, which mostly has
    the same position along that axis; its first three entries say whose sum it is.
    """
    a = 0 if run != 0 else 1
    b = 2 if run != 2 else 1
    u = (state[_P, a] - pars[s, POSITION + a]) * pars[s, SPACING + a]
    ka, ta = cell_of(u, ints[s, 2 + a])
    v = (state[_P, b] - pars[s, POSITION + b]) * pars[s, SPACING + b]
    kb, tb = cell_of(v, ints[s, 2 + b])
    basis(ta, ints[s, 2 + a] == 1, state, _WEIGHTS)
    basis(tb, ints[s, 2 + b] == 1, state, _WEIGHTS + 1)
    taps_a, taps_b = 4 - 3 * int(ints[s, 2 + a] == 1), 4 - 3 * int(ints[s, 2 + b] == 1)
    n, n_b, place = ints[s, 10 + run], ints[s, 10 + b], 1.0 * (3 * s + run)
    kept = memory[0] == place and memory[1] == state[_P, a] and memory[2] == n
    memory[0], memory[1], memory[2] = place, state[_P, a], n
    for c in range(3):
        if not active(ints, s, c):
            continue
        plane = 3 + c * n_b * n
        if not kept:
            at = ints[s, 1] + c * ints[s, 8] + ka * ints[s, 5 + a]
            for j in range(n_b):
                start, to = at + j * ints[s, 5 + b], plane + j * n
                far, near = ints[s, 5 + a], ints[s, 5 + run]
                _weigh(coef, start, far, taps_a, near, n, state, _WEIGHTS, memory, to)
        _weigh(memory, plane + kb * n, n, taps_b, 1, n, state, _WEIGHTS + 1, line, c * n)
    return int(n)


@njit(cache=True, nogil=True)
def _line(x: Any, at: int, size: int, q: float, e: float, ramp: Any) -> None:
    """Write ``q + e * k`` to `x[at + k]` for the first `size` numbers, in whole blocks."""
    for k in range((size + BLOCK - 1) // BLOCK * BLOCK):
        x[np.uint64(at + k)] = q + e * ramp[k]


@njit(cache=True, nogil=True, inline="always")
def _cubic(
    x: Any,
    at: int,
    size: int,
    t: float,
    du: float,
    line: Any,
    cell: int,
    q: float,
    e: float,
    ramp: Any,
) -> None:
    """Write ``q + e * k`` plus the cubic of one cell to `x[at + k]`.

    ``line[cell:][:4]`` are the weights around the cell and ``t + du * k`` the fraction within it;
    the sum is one cubic in `k`. Writes whole blocks, so that all are vector instructions; the next
    cell overwrites the surplus.
    """
    i = np.uint64(cell)
    c0, c1, c2, c3 = line[i], line[i + np.uint64(1)], line[i + np.uint64(2)], line[i + np.uint64(3)]
    a0 = (c0 + 4.0 * c1 + c2) / 6.0
    a1 = (c2 - c0) * 0.5
    a2 = (c0 - 2.0 * c1 + c2) * 0.5
    a3 = (c3 - c0 + 3.0 * (c1 - c2)) / 6.0
    b0 = ((a3 * t + a2) * t + a1) * t + a0 + q
    b1 = ((3.0 * a3 * t + 2.0 * a2) * t + a1) * du + e
    b2 = (3.0 * a3 * t + a2) * du * du
    b3 = a3 * du * du * du
    for k in range((size + BLOCK - 1) // BLOCK * BLOCK):
        r = ramp[k]
        x[np.uint64(at + k)] = ((b3 * r + b2) * r + b1) * r + b0


@njit(cache=True, nogil=True)
def _cell_end(i: int, u0: float, du: float, count: int, n: int) -> tuple[int, int]:
    """Index up to which a row stays in the cell of voxel `i` (exclusive); and that cell.

    Cell -1 and cell ``count - 1`` are the constant continuations beyond the control points.
    """
    u = u0 + du * i
    cell = -1 if u < 0.0 else min(int(u), count - 1)
    if u > 0.0 and cell == count - 1 and u == cell:
        cell = count - 2
    end = n
    if du > 0.0 and cell < count - 1:
        end = min(n, ceil(min((cell + 1 - u0) / du, 1.0 * n)))
    elif du < 0.0 and cell >= 0:
        end = min(n, ceil(min((cell - u0) / du, 1.0 * n)))
    return max(end, i + 1), cell


@njit(cache=True, nogil=True)
def _field_along_axis(
    coef: Any,
    ints: Any,
    pars: Any,
    s: int,
    n: int,
    state: Any,
    memory: Any,
    line: Any,
    ramp: Any,
    x: Any,
) -> None:
    """After a field stage, for a row along one axis: ``q + e * i + field(p + d * i)``."""
    run = 2
    if state[_D, 0] != 0.0:
        run = 0
    elif state[_D, 1] != 0.0:
        run = 1
    size = _contract(coef, ints, pars, s, run, state, memory, line)
    count = ints[s, 2 + run]
    u0 = (state[_P, run] - pars[s, POSITION + run]) * pars[s, SPACING + run]
    du = state[_D, run] * pars[s, SPACING + run]
    for c in range(3):
        at, q, e = c * (n + BLOCK), state[_Q, c], state[_E, c]
        if not active(ints, s, c):
            _line(x, at, n, q, e, ramp)
        elif count == 1:
            _line(x, at, n, q + line[c * size], e, ramp)
    i = 0 if count > 1 else n
    while i < n:
        end, cell = _cell_end(i, u0, du, count, n)
        for c in range(3):
            if not active(ints, s, c):
                continue
            at, q, e = c * (n + BLOCK) + i, state[_Q, c] + state[_E, c] * i, state[_E, c]
            k = c * size + max(cell, 0)
            if 0 <= cell < count - 1:
                _cubic(x, at, end - i, u0 + du * i - cell, du, line, k, q, e, ramp)
            else:
                flat = (line[k] + 4.0 * line[k + 1] + line[k + 2]) / 6.0
                _line(x, at, end - i, q + flat, e, ramp)
        i = end


@njit(cache=True, nogil=True)
def _stage_per_voxel(coef: Any, ints: Any, pars: Any, s: int, n: int, state: Any, x: Any) -> None:
    """Apply a stage to coordinates that no longer lie on an axis-aligned line."""
    step = n + BLOCK
    for i in range(n):
        for c in range(3):
            state[_P, c] = x[c * step + i]
        _linear(pars, s, state, _P, _Q, 1.0)
        if ints[s, 0] == FIELD:
            field_at(coef, ints, pars, s, state, _P, _Q, _WEIGHTS)
        elif ints[s, 0] == TABLE:
            _add_section(coef, ints, pars, s, state)
        for c in range(3):
            x[c * step + i] = state[_Q, c]


@njit(cache=True, nogil=True)
def _linear(pars: Any, s: int, state: Any, row: int, to: int, shift: float) -> None:
    """Write the stage's matrix times a position or step (plus `shift` times its translation)."""
    x, y, z = state[row, 0], state[row, 1], state[row, 2]
    for c in range(3):
        total = pars[s, 3 * c] * x + pars[s, 3 * c + 1] * y + pars[s, 3 * c + 2] * z
        state[to, c] = total + shift * pars[s, 9 + c]


@njit(cache=True, nogil=True)
def _add_section(coef: Any, ints: Any, pars: Any, s: int, state: Any) -> None:
    """Add what the section at position P is displaced by to position Q."""
    z = state[_P, ints[s, 2]]
    k = section_of(z, pars[s, POSITION], pars[s, POSITION + 1], ints[s, 3])
    for c in range(3):
        state[_Q, c] += coef[ints[s, 1] + 3 * k + c]


@njit(cache=True, nogil=True)
def _snap(state: Any) -> None:
    """Remove rounding noise, so that what is meant to fall on voxel centres or edges does."""
    for c in range(3):
        half = np.rint(2.0 * state[_P, c]) * 0.5
        if abs(state[_P, c] - half) < 1e-6:
            state[_P, c] = half
        whole = np.rint(state[_D, c])
        if abs(state[_D, c] - whole) < 1e-9:
            state[_D, c] = whole


@njit(cache=True, nogil=True)
def _straight(x: Any, n: int, state: Any, ramp: Any) -> None:
    for c in range(3):
        _line(x, c * (n + BLOCK), n, state[_P, c], state[_D, c], ramp)


@njit(cache=True, nogil=True)
def trace_row(
    a: int,
    b: int,
    n: int,
    ints: Any,
    pars: Any,
    coef: Any,
    x: Any,
    state: Any,
    memory: Any,
    line: Any,
    ramp: Any,
) -> None:
    """Write the source coordinates of the `n` voxels of output row (a, b).

    Parameters
    ----------
    a
        index of the row along the outer axis of the loop.
    b
        index of the row along the middle axis of the loop.
    n
        voxels in the row.
    ints
        the packed program's integers (see `program.pack`).
    pars
        the packed program's floats.
    coef
        spline coefficients and section tables, flat.
    x
        the result, in input voxels (centre of voxel k = k); see `scratch` for this and the rest.
    state
        scratch.
    memory
        scratch, kept from row to row.
    line
        scratch.
    ramp
        0, 1, 2, ...
    """
    state[_P, 0], state[_P, 1], state[_P, 2] = a, b, 0.0
    state[_D, 0], state[_D, 1], state[_D, 2] = 0.0, 0.0, 1.0
    straight = True
    for s in range(ints.shape[0]):
        kind = ints[s, 0]
        moves = (state[_D, 0] != 0.0) + (state[_D, 1] != 0.0) + (state[_D, 2] != 0.0)
        keeps = kind == LINEAR or (kind == TABLE and state[_D, ints[s, 2]] == 0.0)
        if not straight or not (keeps or (kind == FIELD and moves <= 1)):
            if straight:
                _straight(x, n, state, ramp)
            straight = False
            _stage_per_voxel(coef, ints, pars, s, n, state, x)
            continue
        _linear(pars, s, state, _P, _Q, 1.0)
        _linear(pars, s, state, _D, _E, 0.0)
        if kind == FIELD:
            _field_along_axis(coef, ints, pars, s, n, state, memory, line, ramp, x)
            straight = False
            continue
        if kind == TABLE:
            _add_section(coef, ints, pars, s, state)
        for c in range(3):
            state[_P, c], state[_D, c] = state[_Q, c], state[_E, c]
    if straight:
        _snap(state)
        _straight(x, n, state, ramp)
