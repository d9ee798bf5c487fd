"""Twist and stretch: turning and magnification that change along an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from ..resampling.stages import Field, Floats, Stage
from .base import Map, split_axes
from .positions import undo_field

_TWIST_POINTS = 5  # along the axis of a twist: for 15 degrees exact to 1e-6 of the radius


@final
@dataclass(frozen=True, eq=False)
class Bent(Map):
    """``input = output + field(output)``, see `bent`."""

    field: Field

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.field.counts)

    def stages(self) -> tuple[Stage, ...]:
        """One stage with a field."""
        return (Stage(np.eye(self.ndim), np.zeros(self.ndim), self.field),)

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`."""
        positions, own = split_axes(locations, self.ndim)
        if len(positions):
            positions[:, own] = undo_field(self.field, positions[:, own])
        return positions


def bent(
    begin: Sequence[float], end: Sequence[float], twist: float, stretch: tuple[float, float]
) -> Bent:
    """Twist about the first of three axes, and stretch in the plane of the last two.

    As seen from the centre of the region, with ``h`` half of its extent: first
    ``(y (1 + stretch[0] x / hx), x (1 + stretch[1] y / hy))``, which makes a trapezium of a
    rectangle, then a rotation by ``twist * z / hz`` (see `rotation`). Both are held as a spline,
    the stretch exactly. Outside of the region the displacement is that at its border.

    Parameters
    ----------
    begin, end
        the region (world), of 2 or 3 axes.
    twist
        the angle by which the last section is turned, and the first one the other way (radians).
    stretch
        by how much the magnification along y and along x changes from the centre to the border.

    Examples
    --------
    >>> wider = bent([0, 0], [20, 20], 0.0, (0.0, 0.5))
    >>> wider.pull([[10.0, 20.0], [20.0, 20.0]]).round(9).tolist()
    [[10.0, 20.0], [20.0, 25.0]]
    """
    low, high = np.array([float(v) for v in begin]), np.array([float(v) for v in end])
    half = (high - low) / 2

    def displacement(d: Floats) -> Floats:
        y, x = d[-2], d[-1]
        wide = y * (1 + stretch[0] * x / half[-1]), x * (1 + stretch[1] * y / half[-2])
        angle = twist * d[0] / half[0] if len(d) > 2 else np.zeros_like(x)
        turned = np.zeros_like(d)
        turned[-2] = wide[0] * np.cos(angle) + wide[1] * np.sin(angle) - y
        turned[-1] = wide[1] * np.cos(angle) - wide[0] * np.sin(angle) - x
        return turned

    counts = (2, 2) if len(low) == 2 else (_TWIST_POINTS if twist else 1, 2, 2)
    return Bent(_through(displacement, low, high, counts))


def _through(
    displacement: Callable[[Floats], Floats], low: Floats, high: Floats, counts: Sequence[int]
) -> Field:
    """The spline with so many control points that takes the values of a function of the centre.

    Per axis it takes them in two more places than there are control points, denser towards the
    ends, so that it is any cubic polynomial exactly where it has a single cell.
    """
    sites, inverses = zip(*[_sites(n) for n in counts], strict=True)
    spacing = (high - low) / np.maximum(np.array(counts) - 1, 1)
    axes = [(s - (n - 1) / 2) * step for s, n, step in zip(sites, counts, spacing, strict=True)]
    values = displacement(np.stack(np.meshgrid(*axes, indexing="ij")))
    for axis, inverse in enumerate(inverses, 1):
        values = np.moveaxis(np.tensordot(inverse, values, axes=(1, axis)), 0, axis)
    return Field(np.ascontiguousarray(values), tuple(counts), low, spacing)


@cache
def _sites(count: int) -> tuple[Floats, Floats]:
    """Places (in control points), and what makes spline coefficients of the values there."""
    if count == 1:
        return np.zeros(1), np.ones((4, 1))
    n = count + 2
    places = (count - 1) * (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / (n - 1)))
    away = np.abs(places[:, None] - np.arange(-1, count + 1))
    near, far = 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6
    return places, np.linalg.inv(np.where(away < 1, near, far))
