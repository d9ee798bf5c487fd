"""Perspective: straight lines stay straight, and parallels meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..resampling.stages import NEAREST, Floats, Stage, Tilt
from .base import Map, split_axes


@final
@dataclass(frozen=True, eq=False)
class Perspective(Map):
    """``input = center + (output - center) / (1 + slope . (output - center))``, in world units.

    With an `Affine` before or after it, this is any projective map (homography): Hartley and
    Zisserman, *Multiple View Geometry*, 2004, section 2.4. Where the divisor falls below 1/64 lies
    the horizon: a region to be shown has to end well before it.

    Parameters
    ----------
    center
        what keeps its place and its magnification (world).
    slope
        by how much things are shown larger per world unit, along each axis; where it is negative,
        smaller.
    axes
        the axes that are foreshortened; None: all. Along others positions stay what they are.

    Raises
    ------
    ValueError
        If lengths do not fit, or an axis does not exist.

    Examples
    --------
    >>> near = Perspective(center=[10.0, 0.0], slope=[0.0, 0.25])
    >>> near.pull([[14.0, 4.0], [14.0, 0.0]]).tolist()
    [[12.0, 2.0], [14.0, 0.0]]
    >>> near.points([[12.0, 2.0]]).tolist()
    [[14.0, 4.0]]
    """

    center: Sequence[float]
    slope: Sequence[float]
    axes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        center, slope = np.array(self.center, np.float64), np.array(self.slope, np.float64)
        if center.shape != slope.shape or center.ndim != 1 or not 1 <= center.size <= 3:
            raise ValueError(
                f"center {self.center} and slope {self.slope} do not fit: give one number for each "
                "of 1 to 3 axes"
            )
        axes = tuple(range(center.size) if self.axes is None else self.axes)
        if not set(axes) <= set(range(center.size)):
            raise ValueError(f"axes are some of 0 to {center.size - 1}, got {axes}")
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "center", center)
        object.__setattr__(self, "slope", slope)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.center)

    def stages(self) -> tuple[Stage, ...]:
        """One stage, or none without slope."""
        center, slope = np.asarray(self.center), np.asarray(self.slope)
        if not slope.any():
            return ()
        tilt = Tilt(center, slope, self._short)
        return (Stage(np.eye(self.ndim), np.zeros(self.ndim), tilt=tilt),)

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`. Exact.

        Positions that only what lies behind the horizon would show become infinite.
        """
        positions, own = split_axes(locations, self.ndim)
        from_center = positions[:, own] - self.center
        slope, short = np.asarray(self.slope), self._short
        # With d = output - center and D = 1 + slope . d, from_center is d / D along the axes that
        # are foreshortened and d along the others: D = (1 + slope . d there) / (1 - slope . d / D).
        nearness = 1.0 - from_center @ np.where(short, slope, 0.0)
        depth = np.full(len(nearness), np.inf)
        others = 1.0 + from_center @ np.where(short, 0.0, slope)
        np.divide(others, nearness, out=depth, where=nearness > 0)
        seen = np.isfinite(depth) & (depth > NEAREST)
        moved = from_center * np.where(short, np.where(seen, depth, 0.0)[:, None], 1.0)
        positions[:, own] = np.where(seen[:, None], self.center + moved, np.inf)
        return positions

    @property
    def _short(self) -> NDArray[np.bool_]:
        return np.isin(np.arange(self.ndim), self.axes or ())
