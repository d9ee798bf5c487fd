"""Maps applied to single positions, forward and backward, for points and skeletons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from voxflow.pipeline.compiled import kernel

from ..resampling.program import NDIM, pack
from ..resampling.rows import HEAD
from ..resampling.spline import (
    BEGIN,
    COMPONENT,
    COUNT,
    POSITION,
    SPACING,
    STRIDE,
    active,
    basis,
    cell_of,
    slope,
)
from ..resampling.stages import Field, Floats, SectionTable, Stage, fuse, linear

_STEPS = 50  # Newton steps, far more than a field that does not fold needs
_HALVINGS = 12
_CLOSE = 1e-9  # of the control points' spacing


def sections_of(table: SectionTable, z: Floats) -> Any:
    """Number of the section of each position `z` along the table's axis."""
    number = np.floor((z - table.origin) / table.thickness + 1e-6)
    return np.clip(number, 0, len(table.offsets) - 1).astype(np.int64)


def apply(stages: Sequence[Stage], positions: Floats) -> Floats:
    """Send positions (n, axes) through stages, from output to input."""
    for stage in stages:
        moved = positions @ stage.matrix.T + stage.shift
        if stage.field is not None:
            moved += field_at(stage.field, positions)
        if stage.table is not None:
            sections = sections_of(stage.table, positions[:, stage.table.axis])
            moved += stage.table.offsets[sections]
        if stage.tilt is not None:
            moved = stage.tilt.seen(stage, positions, moved)
        positions = moved
    return positions


def derivatives(stages: Sequence[Stage], positions: Floats) -> Floats:
    """Those of `apply` at positions (n, axes), shape (n, axes, axes): of input by output axes."""
    count, axes = positions.shape
    whole: Floats = np.eye(axes)
    stages = fuse(stages)
    for number, stage in enumerate(stages):
        own = stage.matrix
        if stage.field is not None:
            own = own + slopes_at(stage.field, positions)
        if stage.tilt is not None:
            own = stage.tilt.derivatives(stage, positions)
        whole = own if number == 0 else own @ whole
        if number + 1 < len(stages):
            positions = apply([stage], positions)
    return np.broadcast_to(whole, (count, axes, axes))


def slopes_at(field: Field, positions: Floats) -> Floats:
    """Derivatives of a field at positions (n, axes), shape (n, axes, axes)."""
    ndim = positions.shape[1]
    out = np.empty((len(positions), NDIM, NDIM))
    _with_field(_slopes, field, positions, out)
    return out[:, NDIM - ndim :, NDIM - ndim :]


def field_at(field: Field, positions: Floats) -> Floats:
    """Values of a field at positions (n, axes)."""
    return _with_field(_values, field, positions)


def undo_field(field: Field, targets: Floats) -> Floats:
    """The positions `x` with ``x + field(x) == targets``.

    Newton's method with step halving, started at ``targets - field(targets)``. Where the field
    folds (moves more from one control point to the next than they are apart), there are several
    such positions, and one of them is returned; where there is none, the closest that was found.
    """
    return _with_field(_solve, field, targets)


def _with_field(kernel: Any, field: Field, positions: Floats, out: Floats | None = None) -> Floats:
    ndim = positions.shape[1]
    stage = Stage(np.eye(ndim), np.zeros(ndim), field).lifted(NDIM)
    packed = pack([stage, linear(np.eye(NDIM), np.zeros(NDIM))])
    lifted = np.pad(np.asarray(positions, np.float64, order="C"), ((0, 0), (NDIM - ndim, 0)))
    out = np.empty_like(lifted) if out is None else out
    kernel(*packed, lifted, out)
    return np.ascontiguousarray(out[:, NDIM - ndim :])


@kernel
def _look(ints: Any, numbers: Any, p: Any, weights: Any, value: Any, turn: Any) -> None:
    """The field at `p`, and its derivatives ``turn[c, a] = d value[c] / d p[a]``."""
    base = ints[HEAD + BEGIN]
    beyond = np.zeros(3)
    for a in range(3):
        count = ints[HEAD + COUNT + a]
        u = (p[a] - numbers[POSITION + a]) * numbers[SPACING + a]
        k, t = cell_of(u, count)
        basis(t, count == 1, weights, 4 * a)
        slope(t, count == 1, weights, 12 + 4 * a)
        base += k * ints[HEAD + STRIDE + a]
        beyond[a] = 0.0 if u < 0.0 or u > count - 1.0 else numbers[SPACING + a]
    value[:] = 0.0
    turn[:] = 0.0
    taps0 = 1 if ints[HEAD + COUNT] == 1 else 4
    taps1 = 1 if ints[HEAD + COUNT + 1] == 1 else 4
    taps2 = 1 if ints[HEAD + COUNT + 2] == 1 else 4
    for c in range(3):
        if not active(ints, HEAD, c):
            continue
        for i in range(taps0):
            plane = slope1 = slope2 = 0.0
            for j in range(taps1):
                at = base + c * ints[HEAD + COMPONENT] + i * ints[HEAD + STRIDE]
                at += j * ints[HEAD + STRIDE + 1]
                line = along = 0.0
                for k in range(taps2):
                    number = numbers[at + k * ints[HEAD + STRIDE + 2]]
                    line += weights[8 + k] * number
                    along += weights[20 + k] * number
                plane += weights[4 + j] * line
                slope1 += weights[16 + j] * line
                slope2 += weights[4 + j] * along
            value[c] += weights[i] * plane
            turn[c, 0] += weights[12 + i] * plane * beyond[0]
            turn[c, 1] += weights[i] * slope1 * beyond[1]
            turn[c, 2] += weights[i] * slope2 * beyond[2]


@kernel
def _values(ints: Any, numbers: Any, positions: Any, out: Any) -> None:
    weights, value, turn = np.empty(24), np.empty(3), np.empty((3, 3))
    for n in range(positions.shape[0]):
        _look(ints, numbers, positions[n], weights, value, turn)
        out[n] = value


@kernel
def _slopes(ints: Any, numbers: Any, positions: Any, out: Any) -> None:
    weights, value = np.empty(24), np.empty(3)
    for n in range(positions.shape[0]):
        _look(ints, numbers, positions[n], weights, value, out[n])


@kernel
def _newton_step(turn: Any, rest: Any, step: Any) -> bool:
    """Solve ``(1 + turn) step = rest`` by Cramer's rule; False where that is singular."""
    a, b, c = 1.0 + turn[0, 0], turn[0, 1], turn[0, 2]
    d, e, f = turn[1, 0], 1.0 + turn[1, 1], turn[1, 2]
    g, h, i = turn[2, 0], turn[2, 1], 1.0 + turn[2, 2]
    det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(det) < 1e-6:
        return False
    x, y, z = rest[0], rest[1], rest[2]
    step[0] = (x * (e * i - f * h) - b * (y * i - f * z) + c * (y * h - e * z)) / det
    step[1] = (a * (y * i - f * z) - x * (d * i - f * g) + c * (d * z - y * g)) / det
    step[2] = (a * (e * z - y * h) - b * (d * z - y * g) + x * (d * h - e * g)) / det
    return True


@kernel
def _distance(target: Any, p: Any, value: Any, rest: Any) -> float:
    """Write what is missing from ``p + value`` to `target`; return its greatest entry."""
    most = 0.0
    for a in range(3):
        rest[a] = target[a] - p[a] - value[a]
        most = max(most, abs(rest[a]))
    return most


@kernel
def _solve(ints: Any, numbers: Any, targets: Any, out: Any) -> None:
    weights, value, turn = np.empty(24), np.empty(3), np.empty((3, 3))
    rest, step, p, trial = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    close = _CLOSE / numbers[SPACING : SPACING + 3].max()
    for n in range(targets.shape[0]):
        target = targets[n]
        _look(ints, numbers, target, weights, value, turn)
        for a in range(3):
            p[a] = target[a] - value[a]
        _look(ints, numbers, p, weights, value, turn)
        far = _distance(target, p, value, rest)
        for _ in range(_STEPS):
            if far <= close:
                break
            if not _newton_step(turn, rest, step):
                step[:] = rest
            better = False
            for _ in range(_HALVINGS):
                for a in range(3):
                    trial[a] = p[a] + step[a]
                    step[a] *= 0.5
                _look(ints, numbers, trial, weights, value, turn)
                now = _distance(target, trial, value, rest)
                if now < far:
                    better = True
                    break
            if not better:
                break
            far = now
            p[:] = trial
        out[n] = p
