"""A field of displacements at a single position: uniform cubic B-splines.

A packed program is two flat arrays, of integers and of numbers (see `program.pack`). The record of
a stage begins at ``i`` in the integers and at ``f`` in the numbers; the names below are places in a
record.
"""

from __future__ import annotations

from typing import Any

from voxflow.pipeline.compiled import kernel

#: The kind of stage that has a field (first integer of a record).
FIELD = 1
#: Integers: where coefficients begin; counts of control points; strides of coefficients, and from
#: one component to the next; which components are not zero (bits).
BEGIN, COUNT, STRIDE, COMPONENT, ACTIVE = 1, 2, 5, 8, 9
#: Numbers: first control point, inverse spacing. What stands before is matrix and shift.
POSITION, SPACING = 12, 15


@kernel
def basis(t: float, single: bool, out: Any, at: int) -> None:
    """Write the 4 weights at fraction `t` of a cell to `out[at:]`; 1, 0, 0, 0 if `single`."""
    if single:
        out[at] = 1.0
        out[at + 1] = out[at + 2] = out[at + 3] = 0.0
        return
    s = 1.0 - t
    out[at] = s * s * s * (1.0 / 6.0)
    out[at + 1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) * (1.0 / 6.0)
    out[at + 2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) * (1.0 / 6.0)
    out[at + 3] = t * t * t * (1.0 / 6.0)


@kernel
def slope(t: float, single: bool, out: Any, at: int) -> None:
    """Write the derivatives of the 4 weights at fraction `t` of a cell to `out[at:]`."""
    if single:
        out[at] = out[at + 1] = out[at + 2] = out[at + 3] = 0.0
        return
    s = 1.0 - t
    out[at] = -0.5 * s * s
    out[at + 1] = 1.5 * t * t - 2.0 * t
    out[at + 2] = 2.0 * s - 1.5 * s * s
    out[at + 3] = 0.5 * t * t


@kernel
def cell_of(u: float, count: int) -> tuple[int, float]:
    """Clamp a position in control-point units; return its cell and the fraction within."""
    if count == 1:
        return 0, 0.0
    u = min(max(u, 0.0), count - 1.0)
    k = min(int(u), count - 2)
    return k, u - k


@kernel
def active(ints: Any, i: int, c: int) -> bool:
    """Whether the field of the stage at `i` moves anything along axis `c`."""
    return bool((ints[i + ACTIVE] >> c) & 1)


@kernel
def field_at(
    ints: Any, numbers: Any, i: int, f: int, table: Any, at: int, to: int, weights: int
) -> None:
    """Add the field of a stage at the position ``table[at:]`` to ``table[to:]``.

    The 12 numbers from ``table[weights]`` on are overwritten.
    """
    base = ints[i + BEGIN]
    for a in range(3):
        u = (table[at + a] - numbers[f + POSITION + a]) * numbers[f + SPACING + a]
        cell, t = cell_of(u, ints[i + COUNT + a])
        basis(t, ints[i + COUNT + a] == 1, table, weights + 4 * a)
        base += cell * ints[i + STRIDE + a]
    taps0, taps1 = 4 - 3 * int(ints[i + COUNT] == 1), 4 - 3 * int(ints[i + COUNT + 1] == 1)
    taps2 = 4 - 3 * int(ints[i + COUNT + 2] == 1)
    for c in range(3):
        if not active(ints, i, c):
            continue
        total = 0.0
        for j in range(taps0):
            for k in range(taps1):
                start = base + c * ints[i + COMPONENT]
                start += j * ints[i + STRIDE] + k * ints[i + STRIDE + 1]
                part = 0.0
                for m in range(taps2):
                    part += table[weights + 8 + m] * numbers[start + m * ints[i + STRIDE + 2]]
                total += table[weights + j] * table[weights + 4 + k] * part
        table[to + c] += total
