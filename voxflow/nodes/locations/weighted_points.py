"""Points of which one is to lie in a region that moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from voxflow.pipeline.geometry.exact import exact

if TYPE_CHECKING:
    from voxflow.nodes.locations.room import Room
    from voxflow.pipeline.geometry import Roi
    from voxflow.pipeline.geometry.exact import Exact

_SLACK = 1e-6  # of a step: more than rounding, less than any distance that matters


class WeightedPoints:
    """Points, each the lighter the more others are near it.

    Parameters
    ----------
    locations
        World units, shape (N, dims), N > 0.
    radius
        A point weighs 1 over the number of points within this distance, itself included.

    Examples
    --------
    >>> WeightedPoints(np.array([[0.0], [0.5], [9.0]]), 1).weights
    array([0.5, 0.5, 1. ])
    """

    def __init__(self, locations: np.ndarray[Any, Any], radius: float) -> None:
        self.locations = locations
        self.tree = cKDTree(locations)
        near = self.tree.query_ball_point(locations, radius, return_length=True)
        self.weights = 1 / np.asarray(near, np.float64)

    def __len__(self) -> int:
        return len(self.locations)


class Reach:
    """The points that a region can be moved to, so that it holds them.

    Parameters
    ----------
    points
        All of them.
    roi
        The region, in world units, bounded.
    room
        How far it can be moved.
    centered
        Whether the point has to lie in its middle voxel (of the size of a step).

    Attributes
    ----------
    number
        How many points can be reached.
    """

    def __init__(self, points: WeightedPoints, roi: Roi, room: Room, centered: bool) -> None:
        self._points, self._roi, self._room = points, roi, room
        self._middle = (
            [int(extent // (2 * step)) for extent, step in zip(roi.shape, room.step, strict=True)]
            if centered
            else None
        )
        self._rows = np.flatnonzero(self._reachable())
        self._sums = np.cumsum(points.weights[self._rows])
        self.number = len(self._rows)

    def draw(self, rng: np.random.Generator) -> tuple[int, ...] | None:
        """A move, in steps: first a point by its weight, then any move that holds it.

        None if the point cannot be held after all: `_reachable` counts a point that lies within
        rounding of a limit.
        """
        weight = rng.random() * self._sums[-1]
        row = self._rows[min(np.searchsorted(self._sums, weight, side="right"), self.number - 1)]
        index = []
        for axis, value in enumerate(self._points.locations[row]):
            low, high = self._moves(axis, exact(value))
            if low > high:
                return None
            index.append(int(rng.integers(low, high + 1)))
        return tuple(index)

    def _moves(self, axis: int, value: Exact) -> tuple[int, int]:
        """The first and the last move along an axis that hold a point."""
        step = self._room.step[axis]
        begin, end = self._roi.begin[axis], self._roi.end[axis]
        high = int((value - begin) // step)
        low = int((value - end) // step) + 1
        if self._middle is not None:
            low = high = high - self._middle[axis]
        first, last = self._room.first[axis], self._room.last[axis]
        return (
            low if first is None else max(low, first),
            high if last is None else min(high, last),
        )

    def _reachable(self) -> np.ndarray[Any, Any]:
        held = np.ones(len(self._points), np.bool_)
        for axis, (begin, end, step) in enumerate(
            zip(self._roi.begin, self._roi.end, self._room.step, strict=True)
        ):
            place = self._points.locations[:, axis].astype(np.float64)
            high = np.floor((place - float(begin)) / float(step) + _SLACK)
            low = np.floor((place - float(end)) / float(step) - _SLACK) + 1
            if self._middle is not None:
                low = high - self._middle[axis] - 1  # one less: `high` may be one too high
                high = high - self._middle[axis]
            first, last = self._room.first[axis], self._room.last[axis]
            low = low if first is None else np.maximum(low, first)
            high = high if last is None else np.minimum(high, last)
            held &= low <= high
        return held
