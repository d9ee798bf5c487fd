"""Rotation and magnification about a centre, and displacement at control points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from ..resampling.stages import Floats, Stage
from .affine import Affine
from .base import Map
from .compose import Compose
from .displacement import ControlPointDisplacement


@final
@dataclass(frozen=True, eq=False)
class Deformation(Map):
    """``input = center + matrix @ (output - center) / magnify + d(output)``, in world units.

    The displacement `d` is that of a `ControlPointDisplacement`, but adds to the input position.

    Parameters
    ----------
    matrix
        shape (axes, axes), a rotation.
    magnify
        how many times larger things are shown.
    center
        what stays where it is without displacement (world).
    displacements
        shape (axes, points along axis 0, points along axis 1, ...), world units.
    begin
        position of the first control point (world).
    end
        position of the last control point (world).

    Raises
    ------
    ValueError
        If shapes do not fit, or the matrix is singular.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.zeros((1, 3))
    >>> points[0, 1] = 2
    >>> larger = Deformation(np.eye(1), 2.0, [10.0], points, begin=[0], end=[20])
    >>> larger.pull([[10.0], [20.0]]).round(9).ravel().tolist()
    [12.0, 15.0]
    >>> larger.local().tolist()
    [[0.0, 2.0, 0.0]]
    """

    matrix: Floats
    magnify: float
    center: Floats
    displacements: Floats
    begin: Floats
    end: Floats
    _map: Map = field(init=False, repr=False)

    def __post_init__(self) -> None:
        turned = np.asarray(self.matrix, np.float64) / self.magnify
        maps: list[Map] = []
        if np.any(self.displacements):
            moved = np.tensordot(np.linalg.inv(turned), self.displacements, axes=1)
            begin, end = [float(v) for v in self.begin], [float(v) for v in self.end]
            maps.append(ControlPointDisplacement(moved, begin, end))
        if not maps or not np.array_equal(turned, np.eye(len(turned))):
            maps.append(Affine(turned, self.center))
        object.__setattr__(self, "_map", maps[0] if len(maps) == 1 else Compose(maps))

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self._map.ndim

    def stages(self) -> tuple[Stage, ...]:
        """One stage with a field, or a linear one, or none for the identity."""
        return self._map.stages()

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`."""
        return self._map.points(locations)

    def local(self) -> Floats:
        """Displacement and rotation at the control points, without magnification (world)."""
        values = np.asarray(self.displacements, np.float64)
        ends = zip(self.begin, self.end, values.shape[1:], strict=True)
        axes = [np.linspace(float(a), float(b), n) for a, b, n in ends]
        from_center = np.stack(np.meshgrid(*axes, indexing="ij")) - _column(self.center)
        turned = np.tensordot(np.asarray(self.matrix), from_center, axes=1)
        return np.asarray(values + turned - from_center)


def _column(values: Floats) -> Floats:
    flat = np.asarray(values, np.float64)
    return flat.reshape(-1, *[1] * len(flat))


def draw_rotation(rng: np.random.Generator, ndim: int, axes: Sequence[int]) -> Floats:
    """A rotation matrix, all rotations being equally likely.

    Parameters
    ----------
    rng
        where the dice come from.
    ndim
        the number of axes.
    axes
        two axes, in whose plane is turned, or three; one: the identity.
    """
    matrix = np.eye(ndim)
    own = np.ix_(axes, axes)
    if len(axes) == 2:
        angle = rng.uniform(0.0, 2.0 * np.pi)
        matrix[own] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    elif len(axes) == 3:
        matrix[own] = _of_quaternion(rng.normal(size=4))
    return matrix


def _of_quaternion(q: Floats) -> Floats:
    """The rotation of a quaternion of any length; if it is isotropic, so is the rotation.

    Shoemake, *Uniform random rotations*, Graphics Gems III, 1992.
    """
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
