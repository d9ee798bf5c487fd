"""Draw points and lines into an array: balls, hollow balls, smooth peaks.

Balls are drawn one by one, each in its bounding box and row by row. That costs what is drawn, and
not what is around it, as a distance transform of the whole array does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.pipeline.geometry import Coordinate

from .affinities import as_integers

__all__ = ["Ball", "draw_balls", "draw_peaks", "lines", "peak_reach", "voxels_of"]

ROUNDING = 1e-12
"""What of a squared distance, in units of the radius, is taken as an error of rounding."""
TRUNCATE = 4.0
"""How many standard deviations a peak reaches; that of scipy's Gaussian filter."""

Voxels = npt.NDArray[np.int64]


def voxels_of(locations: npt.NDArray[Any], voxel_size: Coordinate) -> Voxels:
    """The voxels in which locations lie, counted from the origin of the world.

    ``floor(location / voxel_size)``, also below zero. A location that is the nearest its dtype has
    to the face of a voxel lies on it: 29.4 as float32 is in voxel 3 of 9.8.

    Parameters
    ----------
    locations
        World units, shape (N, dims).
    voxel_size
        World units.

    Returns
    -------
    numpy.ndarray
        int64, shape (N, dims).

    Examples
    --------
    >>> voxels_of(np.array([[-0.5, 3.0], [4.0, 29.4]], np.float32), Coordinate(2, 9.8))
    array([[-1,  0],
           [ 2,  3]])
    """
    found = np.empty(locations.shape, np.int64)
    for axis, size in enumerate(voxel_size):
        along = locations[:, axis]
        above, below = float(size.numerator), float(size.denominator)
        nearest = np.rint(along.astype(np.float64) * below / above)
        face = nearest * above / below
        if along.dtype.kind == "f":
            face = face.astype(along.dtype)
        found[:, axis] = nearest - (along < face)
    return found


def lines(
    begin: Voxels, end: Voxels, low: npt.ArrayLike, high: npt.ArrayLike
) -> tuple[Voxels, npt.NDArray[np.intp]]:
    """The voxels of straight lines, as far as they lie in a box.

    A line takes one step along its longest axis at a time, and lies in the nearest voxel along the
    others, in the upper one of two. It is the same from either end, and wherever the box lies.

    Parameters
    ----------
    begin, end
        The first and the last voxel of each line, shape (N, dims).
    low, high
        The first voxel of the box, and the first behind it, shape (dims,).

    Returns
    -------
    tuple
        The voxels, shape (K, dims), and the line of each, shape (K,).

    Examples
    --------
    >>> lines(np.array([[0, 0]]), np.array([[4, 2]]), (0, 0), (4, 4))[0].tolist()
    [[0, 0], [1, 1], [2, 1], [3, 2]]
    """
    low, high = np.asarray(low), np.asarray(high)
    delta = end - begin
    steps = np.abs(delta).max(axis=1, initial=0)
    axis = np.abs(delta).argmax(axis=1)[:, None]
    start = np.take_along_axis(begin, axis, 1)[:, 0]
    upward = np.take_along_axis(delta, axis, 1)[:, 0] >= 0
    axis = axis[:, 0]
    first = np.maximum(np.where(upward, low[axis] - start, start - high[axis] + 1), 0)
    last = np.minimum(np.where(upward, high[axis] - 1 - start, start - low[axis]), steps)
    counts = np.maximum(last - first + 1, 0)
    which = np.repeat(np.arange(len(begin)), counts)
    step = np.arange(len(which)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    whole = np.maximum(steps, 1)[which, None]
    voxels = begin[which] + (2 * step[:, None] * delta[which] + whole) // (2 * whole)
    held = ((voxels >= low) & (voxels < high)).all(axis=1)
    return voxels[held], which[held]


class Ball(NamedTuple):
    """A ball around a voxel, as rows along the last axis.

    Examples
    --------
    >>> ball = Ball.of((1.5, 2))
    >>> ball.rows.tolist(), ball.halves.tolist()
    ([[-1], [0], [1]], [1, 2, 1])
    """

    rows: npt.NDArray[np.int64]
    """Where the rows lie along all axes but the last, shape (rows, dims - 1)."""
    halves: npt.NDArray[np.int64]
    """How many voxels each row reaches to either side, shape (rows,)."""

    @classmethod
    def of(cls, radius: npt.ArrayLike, fraction: float = 1.0) -> Ball:
        """The voxels whose centres are no further than the radius from that of the middle one.

        Parameters
        ----------
        radius
            In voxels along each axis, above zero, shape (dims,); the distance is Euclidean in
            units of it.
        fraction
            What part of the radius is meant.
        """
        radii = np.atleast_1d(np.asarray(radius, np.float64)) * fraction
        rows = _rows(tuple(int(r * (1 + ROUNDING)) for r in radii[:-1]))
        rest = 1 + ROUNDING - ((rows / radii[:-1]) ** 2).sum(axis=1)
        held = rest >= 0
        rows, rest = rows[held], rest[held]
        halves = np.floor(np.sqrt(rest) * radii[-1]).astype(np.int64)
        return cls(rows, halves)

    @property
    def reach(self) -> tuple[int, ...]:
        """How many voxels it reaches from the middle one, along each axis."""
        return (*self.rows.max(axis=0, initial=0).tolist(), int(self.halves.max()))


def draw_balls(
    out: npt.NDArray[Any],
    voxels: Voxels,
    values: npt.NDArray[Any],
    radius: npt.ArrayLike,
    inner: float | None = None,
    labels: npt.NDArray[Any] | None = None,
) -> None:
    """Draw a ball around each of some voxels.

    Where balls of different values meet, the larger value stays.

    Parameters
    ----------
    out
        What is drawn into, C-contiguous, one axis for each dimension.
    voxels
        The middles, inside of `out`, shape (N, dims).
    values
        What each is drawn with, of the dtype of `out`, shape (N,).
    radius
        In voxels along each axis.
    inner
        What part of the radius, beginning in the middle, stays free: of all balls of a value
        together, so that balls that overlap are hollow as one. None: nothing.
    labels
        Integers or booleans of the shape of `out`. A ball is drawn only where they are what they
        are in its middle.

    Examples
    --------
    >>> out = np.zeros(9, np.uint8)
    >>> draw_balls(out, np.array([[2], [5]]), np.array([1, 2], np.uint8), 2)
    >>> out
    array([1, 1, 1, 2, 2, 2, 2, 2, 0], dtype=uint8)
    """
    order = np.argsort(values, kind="stable")
    voxels, values = voxels[order], values[order]
    ball = Ball.of(radius)
    if inner is None:
        _draw(out, voxels, values, ball, labels)
        return
    hole = Ball.of(radius, inner)
    borders = np.flatnonzero(values[1:] != values[:-1]) + 1
    for part in np.split(np.arange(len(values)), borders) if len(values) else []:
        box, middles = _box(voxels[part], ball.reach, out.shape)
        within = None if labels is None else labels[box]
        drawn = np.zeros([s.stop - s.start for s in box], np.uint8)
        _draw(drawn, middles, np.ones(len(part), np.uint8), ball, within)
        _draw(drawn, middles, np.zeros(len(part), np.uint8), hole, within)
        out[box][drawn != 0] = values[part[0]]


def draw_peaks(
    out: npt.NDArray[np.float32],
    voxels: Voxels,
    sigma: npt.ArrayLike,
    labels: npt.NDArray[Any] | None = None,
) -> None:
    """Draw a smooth peak around each of some voxels; where peaks meet, they add up.

    A peak is a Gaussian that ends at `TRUNCATE` standard deviations. The sum is scaled such that
    its highest value in `out` is 1. So a Gaussian filter makes them of single voxels.

    Parameters
    ----------
    out
        What is drawn into, one axis for each dimension.
    voxels
        The middles, inside of `out`, shape (N, dims). One that is there twice counts once.
    sigma
        The standard deviation in voxels, along each axis.
    labels
        As in `draw_balls`. The peaks of each label are summed and scaled by themselves.

    Examples
    --------
    >>> out = np.zeros(5, np.float32)
    >>> draw_peaks(out, np.array([[2]]), [1.0])
    >>> out.round(2)
    array([0.14, 0.61, 1.  , 0.61, 0.14], dtype=float32)
    """
    peak = _Peak.of(np.broadcast_to(np.asarray(sigma, np.float64), out.ndim))
    for part, label in _by_label(voxels, labels):
        box, middles = _box(np.unique(voxels[part], axis=0), peak.reach, out.shape)
        drawn = np.zeros([s.stop - s.start for s in box], np.float32)
        flat, sizes = _flat(drawn)
        _add(flat, sizes, middles, peak.rows, peak.weights, peak.along)
        drawn /= drawn.max()
        if labels is None:
            out[box] = drawn
        else:
            np.copyto(out[box], drawn, where=labels[box] == label)


class _Peak(NamedTuple):
    """A Gaussian, as rows along the last axis."""

    rows: npt.NDArray[np.int64]
    """Where the rows lie along all axes but the last, shape (rows, dims - 1)."""
    weights: npt.NDArray[np.float64]
    """What each row is multiplied with, shape (rows,)."""
    along: npt.NDArray[np.float64]
    """The values along the last axis, an odd number."""
    reach: tuple[int, ...]
    """How many voxels it reaches, along each axis."""

    @classmethod
    def of(cls, sigma: npt.NDArray[np.float64]) -> _Peak:
        reach = peak_reach(sigma)
        rows = _rows(reach[:-1])
        weights = np.exp(-((rows / sigma[:-1]) ** 2).sum(axis=1) / 2)
        along = np.exp(-((np.arange(-reach[-1], reach[-1] + 1) / sigma[-1]) ** 2) / 2)
        return cls(rows, weights, along, reach)


def peak_reach(sigma: npt.ArrayLike) -> tuple[int, ...]:
    """How many voxels a peak of a standard deviation (in voxels) reaches, along each axis."""
    return tuple(int(TRUNCATE * float(s) + 0.5) for s in np.atleast_1d(np.asarray(sigma)))


def _rows(reach: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """All places that lie no further than this along each axis, shape (places, axes)."""
    if not reach:
        return np.zeros((1, 0), np.int64)
    sides = [np.arange(-n, n + 1, dtype=np.int64) for n in reach]
    return np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, len(reach))


def _flat(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """An array as its rows along the last axis, and its size along the others."""
    rows = array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
    return rows, np.array(array.shape[:-1], np.int64)


def _by_label(voxels: Voxels, labels: npt.NDArray[Any] | None) -> Iterator[tuple[Any, Any]]:
    """Which voxels belong together."""
    if not len(voxels):
        return
    if labels is None:
        yield slice(None), None
        return
    own = labels[tuple(voxels.T)]
    for label in np.unique(own):
        yield own == label, label


def _box(
    voxels: Voxels, reach: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], Voxels]:
    """What of an array is drawn into, and where the middles are in it."""
    low = np.maximum(voxels.min(axis=0) - reach, 0)
    high = np.minimum(voxels.max(axis=0) + reach + 1, shape)
    return tuple(
        slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ), voxels - low


def _draw(
    out: npt.NDArray[Any],
    voxels: Voxels,
    values: npt.NDArray[Any],
    ball: Ball,
    labels: npt.NDArray[Any] | None,
) -> None:
    if not len(voxels):
        return
    flat, sizes = _flat(out)
    voxels = np.ascontiguousarray(voxels)
    if labels is None:
        _stamp(flat, sizes, voxels, values, ball.rows, ball.halves)
    else:
        kept = as_integers(labels)
        own = kept[tuple(voxels.T)]
        _stamp_within(flat, sizes, voxels, values, ball.rows, ball.halves, _flat(kept)[0], own)


@kernel
def _row(sizes: Any, voxel: Any, row: Any) -> int:
    """The number of the row of a ball; -1 outside of the array."""
    number = 0
    for axis in range(len(sizes)):
        place = voxel[axis] + row[axis]
        if place < 0 or place >= sizes[axis]:
            return -1
        number = number * sizes[axis] + place
    return number


@kernel
def _stamp(out: Any, sizes: Any, voxels: Any, values: Any, rows: Any, halves: Any) -> None:
    length = out.shape[1]
    last = voxels.shape[1] - 1
    for n in range(len(voxels)):
        for r in range(len(rows)):
            row = _row(sizes, voxels[n], rows[r])
            if row >= 0:
                begin = max(voxels[n, last] - halves[r], 0)
                end = min(voxels[n, last] + halves[r] + 1, length)
                for x in range(begin, end):
                    out[row, x] = values[n]


@kernel
def _stamp_within(
    out: Any, sizes: Any, voxels: Any, values: Any, rows: Any, halves: Any, labels: Any, own: Any
) -> None:
    length = out.shape[1]
    last = voxels.shape[1] - 1
    for n in range(len(voxels)):
        for r in range(len(rows)):
            row = _row(sizes, voxels[n], rows[r])
            if row >= 0:
                begin = max(voxels[n, last] - halves[r], 0)
                end = min(voxels[n, last] + halves[r] + 1, length)
                for x in range(begin, end):
                    if labels[row, x] == own[n]:
                        out[row, x] = values[n]


@kernel
def _add(out: Any, sizes: Any, voxels: Any, rows: Any, weights: Any, along: Any) -> None:
    length = out.shape[1]
    last = voxels.shape[1] - 1
    reach = len(along) // 2
    for n in range(len(voxels)):
        for r in range(len(rows)):
            row = _row(sizes, voxels[n], rows[r])
            if row >= 0:
                begin = max(voxels[n, last] - reach, 0)
                end = min(voxels[n, last] + reach + 1, length)
                first = voxels[n, last] - reach
                for x in range(begin, end):
                    out[row, x] += weights[r] * along[x - first]
