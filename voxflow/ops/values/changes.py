"""What can be done to values, as small values themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
"""Numbers between which all values lie; infinite where that is not known."""

ROUND, SCALE, CLIP, GAMMA = 0.0, 1.0, 2.0, 3.0
"""How the kernels know the changes of single values."""


@final
@dataclass(frozen=True)
class Scale:
    """``value * scale + shift``."""

    scale: float
    shift: float = 0.0

    @property
    def step(self) -> tuple[float, float, float]:
        """What the kernels read."""
        return SCALE, self.scale, self.shift


@final
@dataclass(frozen=True)
class Clip:
    """What is below `low` becomes `low`, what is above `high` becomes `high`."""

    low: float
    high: float

    @property
    def step(self) -> tuple[float, float, float]:
        """What the kernels read."""
        return CLIP, self.low, self.high


@final
@dataclass(frozen=True)
class Gamma:
    """``value ** exponent``; values are not negative."""

    exponent: float

    @property
    def step(self) -> tuple[float, float, float]:
        """What the kernels read."""
        return GAMMA, self.exponent, 0.0


@final
@dataclass(frozen=True)
class Round:
    """To the nearest whole number, halves upwards."""

    @property
    def step(self) -> tuple[float, float, float]:
        """What the kernels read."""
        return ROUND, 0.0, 0.0


Pointwise = Scale | Clip | Gamma | Round
"""A change of each value by itself."""


@final
@dataclass(frozen=True, eq=False)
class Contrast:
    """``mean + (value - mean) * scale + shift``, each piece about its own mean.

    Attributes
    ----------
    pieces
        The size of a piece along each axis of the data, from 1; the last ones may be smaller.
    scale, shift
        For each piece, shape (pieces along axis 0, pieces along axis 1, ...).
    """

    pieces: tuple[int, ...]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]

    def with_axis(self, axis: int) -> Contrast:
        """The same for data with one more axis, of length 1."""
        pieces = (*self.pieces[:axis], 1, *self.pieces[axis:])
        return Contrast(pieces, np.expand_dims(self.scale, axis), np.expand_dims(self.shift, axis))

    def without_axis(self, axis: int) -> Contrast:
        """The same for data that lack one axis, which was of length 1."""
        pieces = (*self.pieces[:axis], *self.pieces[axis + 1 :])
        return Contrast(pieces, self.scale.squeeze(axis), self.shift.squeeze(axis))


@final
@dataclass(frozen=True, eq=False)
class Pieces:
    """Each piece by changes of its own.

    Attributes
    ----------
    pieces
        The size of a piece along each axis of the data, from 1; the last ones may be smaller.
    steps
        For each piece the changes as the kernels read them, shape (pieces along axis 0, pieces
        along axis 1, ..., changes, 3). The i-th change is of the same kind for all pieces.
    """

    pieces: tuple[int, ...]
    steps: NDArray[np.float64]

    @property
    def options(self) -> list[list[Pointwise]]:
        """The changes of each piece."""
        flat = self.steps.reshape(-1, *self.steps.shape[-2:])
        return [[_unpacked(*step) for step in piece] for piece in flat.tolist()]

    def with_axis(self, axis: int) -> Pieces:
        """The same for data with one more axis, of length 1."""
        pieces = (*self.pieces[:axis], 1, *self.pieces[axis:])
        return Pieces(pieces, np.expand_dims(self.steps, axis))

    def without_axis(self, axis: int) -> Pieces:
        """The same for data that lack one axis, which was of length 1."""
        pieces = (*self.pieces[:axis], *self.pieces[axis + 1 :])
        return Pieces(pieces, self.steps.squeeze(axis))


def _unpacked(kind: float, a: float, b: float) -> Pointwise:
    if kind == SCALE:
        return Scale(a, b)
    if kind == CLIP:
        return Clip(a, b)
    return Gamma(a) if kind == GAMMA else Round()


Piecewise = Contrast | Pieces
"""A change that differs from piece to piece."""

Change = Pointwise | Piecewise
"""Anything that can be done to values."""


def packed(changes: Iterable[Pointwise]) -> NDArray[np.float64]:
    """Changes of single values as the kernels read them, shape (changes, 3); scalings fused.

    Examples
    --------
    >>> packed([Scale(2.0), Scale(3.0, 1.0), Clip(0.0, 1.0)]).tolist()
    [[1.0, 6.0, 1.0], [2.0, 0.0, 1.0]]
    """
    steps = [change.step for change in fused(changes)]
    return np.array(steps, np.float64) if steps else np.empty((0, 3))


def fused(changes: Iterable[Pointwise]) -> list[Pointwise]:
    """The same in as few changes as possible."""
    short: list[Pointwise] = []
    for change in changes:
        before = short[-1] if short else None
        if isinstance(change, Scale) and isinstance(before, Scale):
            shift = before.shift * change.scale + change.shift
            short[-1] = Scale(before.scale * change.scale, shift)
        elif change != Scale(1.0):
            short.append(change)
    return short


def segments(changes: Sequence[Change]) -> list[tuple[Piecewise | None, list[Pointwise]]]:
    """Changes cut before each piecewise one, which goes over an array that is there."""
    parts: list[tuple[Piecewise | None, list[Pointwise]]] = [(None, [])]
    for change in changes:
        if isinstance(change, Piecewise):
            parts.append((change, []))
        else:
            parts[-1][1].append(change)
    return parts


def applied(changes: Iterable[Pointwise], value: float) -> float:
    """What becomes of one value."""
    for change in changes:
        if isinstance(change, Scale):
            value = value * change.scale + change.shift
        elif isinstance(change, Clip):
            value = min(max(value, change.low), change.high)
        elif isinstance(change, Gamma):
            value = value**change.exponent
        else:
            value = math.floor(value + 0.5)
    return value


_UNKNOWN = (-math.inf, math.inf)


def range_after(changes: Iterable[Change], before: Range, dtype: np.dtype[Any]) -> Range:
    """Between which numbers values lie after changes that are computed in `dtype`.

    Examples
    --------
    >>> range_after([Scale(1 / 255)], (0, 255), np.dtype(np.float32))
    (0.0, 1.0)
    """
    low, high = before
    for change in changes:
        if isinstance(change, Scale):
            # Rounded as the kernels round, and monotonous as rounding is.
            ends = [_scaled(v, change, dtype) for v in (low, high)]
        elif isinstance(change, Clip):
            ends = [applied([change], v) for v in (low, high)]
        elif isinstance(change, Pieces):
            ranges = [range_after(own, (low, high), dtype) for own in change.options]
            ends = [end for pair in ranges or [_UNKNOWN] for end in pair]
        elif isinstance(change, Contrast) or low < 0 or not math.isfinite(high):
            ends = list(_UNKNOWN)
        else:
            ends = [applied([change], v) for v in (low, high)]
        low, high = min(ends), max(ends)
    return low, high


def _scaled(value: float, change: Scale, dtype: np.dtype[Any]) -> float:
    if math.isinf(value):
        return value if change.scale >= 0 else -value
    kind = dtype.type
    with np.errstate(over="ignore"):
        return float(kind(kind(value) * kind(change.scale)) + kind(change.shift))
