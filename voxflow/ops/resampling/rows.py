"""Where the voxels of one output row come from: the map, evaluated row by row.

A row starts as a straight line (a start and a step), stays one as long as stages are linear, and
becomes a few cubic polynomials at the first field. A field is evaluated along an axis-aligned line
without a lookup per voxel: the control points around the line are summed to one short list of
weights, and between two control points every coordinate is a cubic polynomial in the voxel's index.
Only where something else follows is a row written out as coordinates. All of this stays in the
first-level cache; nothing of the array's size is built.

Everything that a row needs lies in one piece of memory, ``scratch``; all functions take pointers
(see `voxflow.ops.pointers`).
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.pipeline.compiled import kernel

from .spline import (
    BEGIN,
    COMPONENT,
    COUNT,
    FIELD,
    POSITION,
    SPACING,
    STRIDE,
    active,
    basis,
    cell_of,
    field_at,
)
from .stages import NEAREST

#: Kinds of stages, as the kernels know them (first integer of a record).
LINEAR, TABLE, TILT = 0, 2, 3
#: The integers begin with the number of stages, and with the places in ``scratch`` of weights along
#: a line, of what is kept from row to row, and of coordinates that are written out.
STAGES, LINE, MEMORY, COORDINATES, HEAD = 0, 1, 2, 3, 4
#: How many integers and numbers the record of a stage has.
INTS, NUMBERS = 10, 19
#: Numbers of a perspective: its slope, then a constant; its centre.
SLOPE, CENTER = 12, 16
#: Rows are written in blocks of this many voxels: coordinates need room for one more block.
BLOCK = 16
#: Where the pieces of a row begin in ``scratch``. Numbers of a piece: where it begins and ends,
#: then four coefficients for each axis.
PIECES, PIECE, COEFFICIENTS = 32, 14, 2

# Places in scratch: position and step before and after a stage, weights.
_P, _D, _Q, _E, _WEIGHTS = 0, 4, 8, 12, 16

_AHEAD = 1e-9  # cells, by which a row enters a cell early: fields are smooth across its edge
_SECTION_EDGE = 1e-6  # sections begin this early, so that centres on an edge always fall upwards


def make_scratch(ints: NDArray[np.int64], room: int) -> NDArray[np.float64]:
    """The memory that a row is worked in.

    With ``room`` numbers for each axis, the coordinates of axis `c` of a row that is written out
    begin at ``ints[COORDINATES] + c * room``; then come 0, 1, 2, ..., as many.
    """
    return _blank(int(ints[MEMORY]), int(ints[COORDINATES]), room).copy()


@lru_cache(maxsize=32)
def _blank(memory: int, coordinates: int, room: int) -> NDArray[np.float64]:
    end = coordinates + 3 * room
    scratch = np.zeros(end + room)
    scratch[memory] = -1.0
    scratch[end:] = np.arange(room)
    return scratch


@kernel
def section_of(z: float, origin: float, inverse: float, count: int) -> int:
    """Number of the section that holds `z`, clamped to the table."""
    return min(max(floor((z - origin) * inverse + _SECTION_EDGE), 0), count - 1)


@kernel
def _weigh(
    source: Any, at: int, far: int, near: int, size: int, taps: int, scratch: Any, w: int, to: int
) -> None:
    """Sum 1 or 4 `taps`: ``scratch[to + k] = sum of weight i * source[at + i * far + k * near]``.

    The weights are ``scratch[w:]``.
    """
    w0, w1, w2, w3 = scratch[w], scratch[w + 1], scratch[w + 2], scratch[w + 3]
    for k in range(size):
        here = at + k * near
        total = w0 * source[here]
        if taps > 1:
            total += w1 * source[here + far]
            total += w2 * source[here + 2 * far]
            total += w3 * source[here + 3 * far]
        scratch[to + k] = total


@kernel
def _contract(ints: Any, numbers: Any, scratch: Any, i: int, f: int, run: int) -> int:
    """Sum the control points around an axis-aligned line to one weight per point on it.

    The weights of component `c` begin at ``scratch[ints[LINE] + c * n]``, with the returned `n`.
    The sum over the first of the two axes across the line is kept for the next row, which mostly
    has the same position along that axis; the first three numbers there say whose sum it is.
    """
    a = 0 if run != 0 else 1
    b = 2 if run != 2 else 1
    count_a, count_b = ints[i + COUNT + a], ints[i + COUNT + b]
    u = (scratch[_P + a] - numbers[f + POSITION + a]) * numbers[f + SPACING + a]
    ka, ta = cell_of(u, count_a)
    v = (scratch[_P + b] - numbers[f + POSITION + b]) * numbers[f + SPACING + b]
    kb, tb = cell_of(v, count_b)
    taps_a, taps_b = 4 - 3 * int(count_a == 1), 4 - 3 * int(count_b == 1)
    n_b = count_b + 2 if count_b > 1 else 4
    n = ints[i + COUNT + run] + 2 if ints[i + COUNT + run] > 1 else 4
    memory, place = ints[MEMORY], 3.0 * i + run
    kept = scratch[memory] == place and scratch[memory + 1] == scratch[_P + a]
    scratch[memory], scratch[memory + 1] = place, scratch[_P + a]
    basis(tb, count_b == 1, scratch, _WEIGHTS + 4)
    if not kept:
        basis(ta, count_a == 1, scratch, _WEIGHTS)
    for c in range(3):
        if not active(ints, i, c):
            continue
        plane = memory + 2 + c * n_b * n
        if not kept:
            at = ints[i + BEGIN] + c * ints[i + COMPONENT] + ka * ints[i + STRIDE + a]
            far, near = ints[i + STRIDE + a], ints[i + STRIDE + run]
            for j in range(n_b):
                start, to = at + j * ints[i + STRIDE + b], plane + j * n
                _weigh(numbers, start, far, near, n, taps_a, scratch, _WEIGHTS, to)
        to = ints[LINE] + c * n
        _weigh(scratch, plane + kb * n, n, 1, n, taps_b, scratch, _WEIGHTS + 4, to)
    return int(n)


@kernel
def _cubic(scratch: Any, to: int, t: float, du: float, at: int, q: float, e: float) -> None:
    """Write the coefficients of ``q + e * k`` plus the cubic of one cell, in `k`.

    ``scratch[at:][:4]`` are the weights around the cell, ``t + du * k`` is the fraction within it.
    """
    c0, c1, c2, c3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
    a0 = (c0 + 4.0 * c1 + c2) * (1.0 / 6.0)
    a1 = (c2 - c0) * 0.5
    a2 = (c0 - 2.0 * c1 + c2) * 0.5
    a3 = (c3 - c0 + 3.0 * (c1 - c2)) * (1.0 / 6.0)
    scratch[to] = ((a3 * t + a2) * t + a1) * t + a0 + q
    scratch[to + 1] = ((3.0 * a3 * t + 2.0 * a2) * t + a1) * du + e
    scratch[to + 2] = (3.0 * a3 * t + a2) * du * du
    scratch[to + 3] = a3 * du * du * du


@kernel
def _line(scratch: Any, to: int, q: float, e: float) -> None:
    """Write the coefficients of ``q + e * k``."""
    scratch[to], scratch[to + 1], scratch[to + 2], scratch[to + 3] = q, e, 0.0, 0.0


@kernel
def coordinate(scratch: Any, piece: int, axis: int, k: float) -> float:
    """A coordinate of the `k`-th voxel of a piece."""
    at = PIECES + piece * PIECE + COEFFICIENTS + 4 * axis
    b0, b1, b2, b3 = scratch[at], scratch[at + 1], scratch[at + 2], scratch[at + 3]
    return float(((b3 * k + b2) * k + b1) * k + b0)


@kernel
def ends(scratch: Any, piece: int) -> tuple[int, int]:
    """Where a piece of a row begins and ends."""
    at = PIECES + piece * PIECE
    return int(scratch[at]), int(scratch[at + 1])


@kernel
def write_out(ints: Any, scratch: Any, used: int, room: int) -> None:
    """Write the coordinates of a row in pieces."""
    for p in range(used):
        begin, end = ends(scratch, p)
        for c in range(3):
            for i in range(begin, end):
                value = coordinate(scratch, p, c, 1.0 * (i - begin))
                scratch[ints[COORDINATES] + c * room + i] = value


@kernel
def _cell_end(i: int, u0: float, du: float, count: int, n: int) -> tuple[int, int]:
    """Index up to which a row stays in the cell of voxel `i` (exclusive); and that cell.

    Cell -1 and cell ``count - 1`` are the constant continuations beyond the control points. On a
    control point the row already is in the cell that it enters: otherwise a row that meets every
    control point would have a piece of one voxel at each of them, and more pieces than there is
    room for.
    """
    ahead = _AHEAD if du > 0.0 else -_AHEAD
    cell = min(max(floor(u0 + du * i + ahead), -1), count - 1)
    end = n
    if du > 0.0 and cell < count - 1:
        end = min(n, ceil(min((cell + 1 - u0) / du, 1.0 * n)))
    elif du < 0.0 and cell >= 0:
        end = min(n, ceil(min((cell - u0) / du, 1.0 * n)))
    return max(end, i + 1), cell


@kernel
def _field_along_axis(ints: Any, numbers: Any, scratch: Any, i: int, f: int, n: int) -> int:
    """After a field stage, along one axis: ``q + e * k + field(p + d * k)``, in pieces."""
    run = 2
    if scratch[_D] != 0.0:
        run = 0
    elif scratch[_D + 1] != 0.0:
        run = 1
    size = _contract(ints, numbers, scratch, i, f, run)
    count = ints[i + COUNT + run]
    u0 = (scratch[_P + run] - numbers[f + POSITION + run]) * numbers[f + SPACING + run]
    du = scratch[_D + run] * numbers[f + SPACING + run]
    used, k = 0, 0
    while k < n:
        end, cell = (n, 0) if count == 1 else _cell_end(k, u0, du, count, n)
        at = PIECES + used * PIECE
        scratch[at], scratch[at + 1] = k, end
        for c in range(3):
            to = at + COEFFICIENTS + 4 * c
            q, e = scratch[_Q + c] + scratch[_E + c] * k, scratch[_E + c]
            w = ints[LINE] + c * size + max(cell, 0)
            if not active(ints, i, c):
                _line(scratch, to, q, e)
            elif count == 1:
                _line(scratch, to, q + scratch[w], e)
            elif 0 <= cell < count - 1:
                _cubic(scratch, to, u0 + du * k - cell, du, w, q, e)
            else:
                flat = (scratch[w] + 4.0 * scratch[w + 1] + scratch[w + 2]) / 6.0
                _line(scratch, to, q + flat, e)
        used += 1
        k = end
    return used


@kernel
def _linear(numbers: Any, f: int, scratch: Any, at: int, to: int, shift: float) -> None:
    """Write the stage's matrix times a position or step (plus `shift` times its translation)."""
    x, y, z = scratch[at], scratch[at + 1], scratch[at + 2]
    for c in range(3):
        row = f + 3 * c
        total = numbers[row] * x + numbers[row + 1] * y + numbers[row + 2] * z
        scratch[to + c] = total + shift * numbers[f + 9 + c]


@kernel
def _add_section(ints: Any, numbers: Any, scratch: Any, i: int, f: int) -> None:
    """Add what the section at position P is displaced by to position Q."""
    z = scratch[_P + ints[i + 2]]
    k = section_of(z, numbers[f + POSITION], numbers[f + POSITION + 1], ints[i + 3])
    for c in range(3):
        scratch[_Q + c] += numbers[ints[i + BEGIN] + 3 * k + c]


@kernel
def _foreshorten(ints: Any, numbers: Any, scratch: Any, i: int, f: int) -> None:
    """Move position Q towards the image of the centre, as the depth at position P says.

    Steps are overwritten: a row that is written out has none.
    """
    depth = numbers[f + SLOPE + 3]
    for c in range(3):
        depth += numbers[f + SLOPE + c] * scratch[_P + c]
        scratch[_D + c] = numbers[f + CENTER + c] if active(ints, i, c) else scratch[_P + c]
    _linear(numbers, f, scratch, _D, _E, 1.0)
    depth = max(depth, NEAREST)
    for c in range(3):
        center = scratch[_E + c]
        scratch[_Q + c] = center + (scratch[_Q + c] - center) / depth


@kernel
def _stage_per_voxel(
    ints: Any, numbers: Any, scratch: Any, i: int, f: int, n: int, room: int
) -> None:
    """Apply a stage to coordinates that no longer lie on an axis-aligned line."""
    x = ints[COORDINATES]
    for k in range(n):
        for c in range(3):
            scratch[_P + c] = scratch[x + c * room + k]
        _linear(numbers, f, scratch, _P, _Q, 1.0)
        if ints[i] == FIELD:
            field_at(ints, numbers, i, f, scratch, _P, _Q, _WEIGHTS)
        elif ints[i] == TABLE:
            _add_section(ints, numbers, scratch, i, f)
        elif ints[i] == TILT:
            _foreshorten(ints, numbers, scratch, i, f)
        for c in range(3):
            scratch[x + c * room + k] = scratch[_Q + c]


@kernel
def _snap(scratch: Any) -> None:
    """Remove rounding noise, so that what is meant to fall on voxel centres or edges does."""
    for c in range(3):
        half = np.rint(2.0 * scratch[_P + c]) * 0.5
        if abs(scratch[_P + c] - half) < 1e-6:
            scratch[_P + c] = half
        whole = np.rint(scratch[_D + c])
        if abs(scratch[_D + c] - whole) < 1e-9:
            scratch[_D + c] = whole


@kernel
def _straight(scratch: Any, n: int) -> int:
    """A straight row, in one piece."""
    scratch[PIECES], scratch[PIECES + 1] = 0.0, n
    for c in range(3):
        _line(scratch, PIECES + COEFFICIENTS + 4 * c, scratch[_P + c], scratch[_D + c])
    return 1


@kernel
def trace_row(
    ints: Any, numbers: Any, scratch: Any, a: int, b: int, first: int, n: int, room: int
) -> int:
    """Find the source coordinates of `n` voxels of output row (a, b), from voxel `first` on.

    Coordinates are in input voxels (centre of voxel k = k).

    Parameters
    ----------
    ints
        the packed program's integers (see `program.pack`).
    numbers
        the packed program's numbers.
    scratch
        see `make_scratch`; the result is in it.
    a
        index of the row along the outer axis of the loop.
    b
        index of the row along the middle axis of the loop.
    first
        index of the first voxel along the inner axis of the loop.
    n
        number of voxels.
    room
        as of `scratch`.

    Returns
    -------
    int
        The number of pieces that the row is, or 0 if it is written out.
    """
    scratch[_P], scratch[_P + 1], scratch[_P + 2] = a, b, first
    scratch[_D], scratch[_D + 1], scratch[_D + 2] = 0.0, 0.0, 1.0
    straight, used = True, 0
    for s in range(ints[STAGES]):
        i, f = HEAD + INTS * s, NUMBERS * s
        kind = ints[i]
        moves = (scratch[_D] != 0.0) + (scratch[_D + 1] != 0.0) + (scratch[_D + 2] != 0.0)
        keeps = kind == LINEAR or (kind == TABLE and scratch[_D + ints[i + 2]] == 0.0)
        if not straight or not (keeps or (kind == FIELD and moves <= 1)):
            if straight:
                used = _straight(scratch, n)
            if used:
                write_out(ints, scratch, used, room)
            straight, used = False, 0
            _stage_per_voxel(ints, numbers, scratch, i, f, n, room)
            continue
        _linear(numbers, f, scratch, _P, _Q, 1.0)
        _linear(numbers, f, scratch, _D, _E, 0.0)
        if kind == FIELD:
            used = _field_along_axis(ints, numbers, scratch, i, f, n)
            straight = False
            continue
        if kind == TABLE:
            _add_section(ints, numbers, scratch, i, f)
        for c in range(3):
            scratch[_P + c], scratch[_D + c] = scratch[_Q + c], scratch[_E + c]
    if straight:
        _snap(scratch)
        used = _straight(scratch, n)
    return used
