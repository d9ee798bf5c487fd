"""A field of displacements at a single position: uniform cubic B-splines.

The integer and float tables are those that `program.pack` writes, one row per stage.
"""

from __future__ import annotations

from typing import Any

from numba import njit

#: The kind of stage that has a field (first column of the integer table).
FIELD = 1
#: Columns of the float table: origin and inverse spacing of a stage's control points.
POSITION, SPACING = 12, 15


@njit(cache=True, nogil=True)
def basis(t: float, single: bool, out: Any, row: int) -> None:
    """Write the 4 weights at fraction `t` of a cell to `out[row]`; 1, 0, 0, 0 if `single`."""
    if single:
        out[row, 0] = 1.0
        out[row, 1] = out[row, 2] = out[row, 3] = 0.0
        return
    s = 1.0 - t
    out[row, 0] = s * s * s * (1.0 / 6.0)
    out[row, 1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) * (1.0 / 6.0)
    out[row, 2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) * (1.0 / 6.0)
    out[row, 3] = t * t * t * (1.0 / 6.0)


@njit(cache=True, nogil=True)
def slope(t: float, single: bool, out: Any, row: int) -> None:
    """Write the derivatives of the 4 weights at fraction `t` of a cell to `out[row]`."""
    if single:
        out[row, 0] = out[row, 1] = out[row, 2] = out[row, 3] = 0.0
        return
    s = 1.0 - t
    out[row, 0] = -0.5 * s * s
    out[row, 1] = 1.5 * t * t - 2.0 * t
    out[row, 2] = 2.0 * s - 1.5 * s * s
    out[row, 3] = 0.5 * t * t


@njit(cache=True, nogil=True)
def cell_of(u: float, count: int) -> tuple[int, float]:
    """Clamp a position in control-point units; return its cell and the fraction within."""
    if count == 1:
        return 0, 0.0
    u = min(max(u, 0.0), count - 1.0)
    k = min(int(u), count - 2)
    return k, u - k


@njit(cache=True, nogil=True)
def active(ints: Any, s: int, c: int) -> bool:
    """Whether the field of stage `s` moves anything along axis `c`."""
    return bool((ints[s, 9] >> c) & 1)


@njit(cache=True, nogil=True)
def field_at(
    coef: Any, ints: Any, pars: Any, s: int, table: Any, at: int, to: int, weights: int
) -> None:
    """Add the field of stage `s` at position ``table[at]`` to ``table[to]``.

    Rows `weights` and the two after it are overwritten.
    """
    base = ints[s, 1]
    for a in range(3):
        u = (table[at, a] - pars[s, POSITION + a]) * pars[s, SPACING + a]
        cell, t = cell_of(u, ints[s, 2 + a])
        basis(t, ints[s, 2 + a] == 1, table, weights + a)
        base += cell * ints[s, 5 + a]
    taps0, taps1 = 4 - 3 * int(ints[s, 2] == 1), 4 - 3 * int(ints[s, 3] == 1)
    taps2 = 4 - 3 * int(ints[s, 4] == 1)
    for c in range(3):
        if not active(ints, s, c):
            continue
        total = 0.0
        for i in range(taps0):
            for j in range(taps1):
                start = base + c * ints[s, 8] + i * ints[s, 5] + j * ints[s, 6]
                part = 0.0
                for k in range(taps2):
                    part += table[weights + 2, k] * coef[start + k * ints[s, 7]]
                total += table[weights, i] * table[weights + 1, j] * part
        table[to, c] += total
