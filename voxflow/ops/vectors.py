"""Draw vectors that lead from around points to their partners."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers
from .rasterize import Ball, Voxels

__all__ = ["Partners", "draw_vectors"]

Floats = npt.NDArray[np.float64]


class Partners(NamedTuple):
    """The partners of each of some points.

    Examples
    --------
    >>> targets = np.array([[0.0], [9.0], [4.0]])
    >>> partners = Partners(targets, np.array([0, 2, 3]))
    >>> partners.farthest_first(np.array([[1.0], [4.0]])).targets.tolist()
    [[9.0], [0.0], [4.0]]
    >>> partners.nearest(np.array([[1.0], [4.0]])).targets.tolist()
    [[0.0], [4.0]]
    """

    targets: Floats
    """Where partners lie, world units, those of the first point first, shape (P, dims)."""
    starts: npt.NDArray[np.int64]
    """Where the partners of each point begin, and where the last ones end, shape (N + 1,)."""

    def farthest_first(self, locations: Floats) -> Partners:
        """Those of each point in the order of their distance, the farthest first."""
        owner = np.repeat(np.arange(len(locations)), np.diff(self.starts))
        distances = np.linalg.norm(self.targets - locations[owner], axis=1)
        return Partners(self.targets[np.lexsort((-distances, owner))], self.starts)

    def nearest(self, locations: Floats) -> Partners:
        """The nearest one of each point."""
        has = np.diff(self.starts) > 0
        last = self.starts[1:][has] - 1
        starts = np.concatenate([[0], np.cumsum(has)]).astype(np.int64)
        return Partners(self.farthest_first(locations).targets[last], starts)


def draw_vectors(
    out: npt.NDArray[np.float32],
    middles: Voxels,
    partners: Partners,
    radius: npt.ArrayLike,
    origin: npt.ArrayLike,
    voxel_size: npt.ArrayLike,
    labels: npt.NDArray[Any] | None = None,
) -> None:
    """Draw a ball around each point that has partners, of vectors to them.

    A vector leads from the lower corner of its voxel to the partner. Of k partners, each takes the
    k-th part of the ball's voxels, those nearest to it of what the ones before have left; the last
    takes the rest. Later points are drawn over earlier ones.

    Parameters
    ----------
    out
        What is drawn into, world units, C-contiguous, shape (dims, \\*spatial).
    middles
        The voxels of the points, inside of `out`, shape (N, dims).
    partners
        Their partners, in the order in which they take voxels.
    radius
        In voxels along each axis.
    origin
        Where the array begins, world units, shape (dims,).
    voxel_size
        World units, shape (dims,).
    labels
        Integers or booleans of the shape of `out`. A ball is drawn only where they are what they
        are in its middle.

    Examples
    --------
    >>> out = np.zeros((1, 6), np.float32)
    >>> partners = Partners(np.array([[10.0], [0.0]]), np.array([0, 2]))
    >>> draw_vectors(out, np.array([[2]]), partners, [2.0], [0], [2])
    >>> out
    array([[ 0., -2., -4.,  4.,  2.,  0.]], dtype=float32)
    """
    if not len(middles):
        return
    shape = out.shape[1:]
    ball = Ball.of(radius)
    room = int((2 * ball.halves + 1).sum())
    masked = labels is not None
    kept = np.zeros(0, np.uint8) if labels is None else as_integers(labels).reshape(-1)
    _draw_vectors(
        out.reshape(len(shape), math.prod(shape)),
        np.array(shape, np.int64),
        np.ascontiguousarray(middles),
        ball.rows,
        ball.halves,
        masked,
        kept,
        np.ascontiguousarray(partners.targets, np.float64),
        partners.starts,
        np.asarray(origin, np.float64),
        np.asarray(voxel_size, np.float64),
        np.empty((room, len(shape)), np.int64),
    )


@kernel
def _draw_vectors(
    out: Any,
    shape: Any,
    middles: Any,
    rows: Any,
    halves: Any,
    masked: bool,
    labels: Any,
    targets: Any,
    starts: Any,
    origin: Any,
    size: Any,
    room: Any,
) -> None:
    for n in range(len(middles)):
        first, last = starts[n], starts[n + 1] - 1
        if last < first:
            continue
        rest = _ball(shape, middles[n], rows, halves, masked, labels, room)
        share = rest // (last - first + 1)
        for p in range(first, last):
            if share > 0:
                rest = _take(out, shape, room, rest, share, targets[p], origin, size)
        for i in range(rest):
            _write(out, shape, room[i], targets[last], origin, size)


@kernel
def _ball(
    shape: Any, middle: Any, rows: Any, halves: Any, masked: bool, labels: Any, room: Any
) -> int:
    """The voxels of a ball that lie in the array and on its label; gives their number."""
    dims = len(shape)
    own = labels[_flat(shape, middle)] if masked else labels.dtype.type(0)
    count = 0
    for r in range(len(rows)):
        inside = True
        for axis in range(dims - 1):
            place = middle[axis] + rows[r, axis]
            inside = inside and 0 <= place < shape[axis]
        if not inside:
            continue
        begin = max(middle[dims - 1] - halves[r], 0)
        end = min(middle[dims - 1] + halves[r] + 1, shape[dims - 1])
        for x in range(begin, end):
            for axis in range(dims - 1):
                room[count, axis] = middle[axis] + rows[r, axis]
            room[count, dims - 1] = x
            if not masked or labels[_flat(shape, room[count])] == own:
                count += 1
    return count


@kernel
def _take(
    out: Any, shape: Any, room: Any, rest: int, share: int, target: Any, origin: Any, size: Any
) -> int:
    """Draw the voxels nearest to a partner, and take them away; gives how many are left."""
    squared = np.empty(rest, np.float64)
    for i in range(rest):
        squared[i] = 0.0
        for axis in range(len(shape)):
            squared[i] += (target[axis] - origin[axis] - room[i, axis] * size[axis]) ** 2
    order = np.argsort(squared, kind="mergesort")
    for i in order[:share]:
        _write(out, shape, room[i], target, origin, size)
        room[i, 0] = -1
    left = 0
    for i in range(rest):
        if room[i, 0] >= 0:
            room[left] = room[i]
            left += 1
    return left


@kernel
def _write(out: Any, shape: Any, voxel: Any, target: Any, origin: Any, size: Any) -> None:
    number = _flat(shape, voxel)
    for axis in range(len(shape)):
        out[axis, number] = target[axis] - origin[axis] - voxel[axis] * size[axis]


@kernel
def _flat(shape: Any, voxel: Any) -> int:
    number = 0
    for axis in range(len(shape)):
        number = number * shape[axis] + voxel[axis]
    return number
