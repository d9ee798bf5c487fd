"""A random map of everything that is smooth and needs no control points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import tan
from typing import Literal

import numpy as np

from ..resampling.stages import Floats, eye
from .affine import rotation_matrix
from .base import Map, Region
from .bending import bent
from .deformation import draw_rotation
from .perspective import Perspective

Interval = tuple[float, float]

_DEEPEST = 0.75  # by how much a perspective changes the magnification at most, in the corners


@dataclass(frozen=True)
class WarpRanges:
    """What a warp is drawn from; all is uniform, about the centre of the region.

    Attributes
    ----------
    rotation
        angles in the last two axes (radians), or "any": all rotations are equally likely.
    shear
        angles by which the last but one axis leans towards the last (radians).
    scale
        magnifications, the same along the axes that are not locked; or an interval for each axis.
    linear
        by how much each entry of the matrix is changed at most.
    shift
        by how much things are moved along each axis, in parts of the extent of the region.
    stretch
        by how much the magnification along one of the last two axes changes at most, from the
        centre to where the other one ends.
    twist
        the greatest angle by which the last section is turned against the middle one (radians).
        The interval of `rotation` gets smaller by it on both sides, down to its middle, such that
        no section is turned further than that says.
    perspective
        by how much the magnification changes at most per unit length, along each axis.
    lock_z
        whether the first of three axes is left alone: nothing but `scale`, if it has an interval
        for each axis, and `shift`, if it has, changes it.
    chance
        how likely each of rotation, shear, scale, shift, and the others, is drawn.
    """

    rotation: Interval | Literal["any"] = (0.0, 0.0)
    shear: Interval = (0.0, 0.0)
    scale: Interval | tuple[Interval, ...] = (1.0, 1.0)
    linear: float = 0.0
    shift: Interval | tuple[Interval, ...] = (0.0, 0.0)
    stretch: float = 0.0
    twist: float = 0.0
    perspective: float = 0.0
    lock_z: bool = True
    chance: float = 1.0

    @property
    def varies(self) -> bool:
        """Whether anything may be drawn but shifts."""
        sizes = self.linear, self.stretch, self.twist, self.perspective
        low, high = (0.0, 1.0) if isinstance(self.rotation, str) else self.rotation
        turns = low != high or (self.chance < 1 and low != 0)
        return bool(turns or any(sizes) or any(self.shear) or np.any(np.array(self.scale) != 1))

    def draw(
        self, rng: np.random.Generator, roi: Region, unit: float = 1.0
    ) -> tuple[list[Map], Floats, Floats]:
        """What bends, from output to input, then a matrix about the centre, and a translation.

        Parameters
        ----------
        rng
            where the dice come from.
        roi
            everything that is requested, of 1 to 3 axes (world).
        unit
            the length for `perspective` (world).
        """
        shape = np.array([float(v) for v in roi.shape])
        ndim = len(shape)
        free = _free(ndim, self.lock_z)
        twist = rng.uniform(-self.twist, self.twist) if ndim == 3 and self._may(rng) else 0.0
        matrix = self._turn(rng, ndim, abs(twist)) @ self._lean(rng, ndim, free)
        matrix /= self._per_axis(rng, self.scale, free, ndim, 1.0, alike=True)
        moved = self._per_axis(rng, self.shift, free, ndim, 0.0, alike=False) * shape
        stretch = 0.0, 0.0
        if ndim > 1 and self.stretch and self._may(rng):
            first, second = rng.uniform(-self.stretch, self.stretch, 2).tolist()
            stretch = first, second
        maps: list[Map] = []
        begin = [float(v) for v in roi.offset]
        if twist or any(stretch):
            maps.append(bent(begin, (np.array(begin) + shape).tolist(), twist, stretch))
        if self.perspective and self._may(rng):
            slope = np.zeros(ndim)
            slope[free] = rng.uniform(-self.perspective, self.perspective, len(free)) / unit
            slope *= min(1.0, _DEEPEST / max(np.abs(slope) @ shape / 2, 1e-30))
            maps.append(Perspective((np.array(begin) + shape / 2).tolist(), slope.tolist(), free))
        # What is seen moves against where one looks.
        return maps, matrix, -moved

    def _may(self, rng: np.random.Generator) -> bool:
        return self.chance >= 1 or bool(rng.random() < self.chance)

    def _turn(self, rng: np.random.Generator, ndim: int, less: float) -> Floats:
        if ndim == 1 or not self._may(rng):
            return eye(ndim)
        if self.rotation == "any":
            return draw_rotation(rng, ndim, _free(ndim, self.lock_z))
        low, high = self.rotation[0] + less, self.rotation[1] - less
        if low > high:
            low = high = (low + high) / 2
        angle = rng.uniform(low, high)
        return rotation_matrix(angle, ndim) if angle else eye(ndim)

    def _lean(self, rng: np.random.Generator, ndim: int, free: Sequence[int]) -> Floats:
        """Shear, and what changes each entry of the matrix."""
        matrix = eye(ndim)
        if ndim > 1 and any(self.shear) and self._may(rng):
            matrix[-1, -2] = tan(rng.uniform(*self.shear))
        if self.linear and self._may(rng):
            changed = eye(ndim)
            own = np.ix_(free, free)
            changed[own] += rng.uniform(-self.linear, self.linear, (len(free), len(free)))
            matrix = changed @ matrix
        return matrix

    def _per_axis(
        self,
        rng: np.random.Generator,
        given: Interval | tuple[Interval, ...],
        free: Sequence[int],
        ndim: int,
        default: float,
        alike: bool,
    ) -> Floats:
        """A number for each axis: from its interval, or from the one of all that are free."""
        values = [default] * ndim
        if not self._may(rng):
            return np.array(values)
        if hasattr(given[0], "__len__"):
            ends = np.asarray(given, np.float64)
            return np.asarray(rng.uniform(ends[:, 0], ends[:, 1]))
        (low, high), n = given, len(free)
        drawn = [rng.uniform(low, high)] * n if alike else rng.uniform(low, high, n).tolist()
        for axis, value in zip(free, drawn, strict=True):
            values[axis] = value
        return np.array(values)


def _free(ndim: int, lock_z: bool) -> list[int]:
    """The axes that may be mixed."""
    return list(range(1 if lock_z and ndim == 3 else 0, ndim))
