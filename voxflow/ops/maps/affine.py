"""Maps that are a matrix: rotations, scalings, shears, and exact mirrors and transpositions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import cos, hypot, isfinite, prod, sin
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from ..resampling.stages import Floats, Stage, eye, linear
from .base import Map, split_axes

_SINGULAR = 1e-12  # how much flatter than a rotation a matrix may be
_EYES = [eye(ndim).tolist() for ndim in range(4)]


@final
@dataclass(frozen=True, eq=False)
class Affine(Map):
    """``input = center + matrix @ (output - center) + translation``, in world units.

    Parameters
    ----------
    matrix
        shape (axes, axes), invertible.
    center
        the position that only the translation moves (world).
    translation
        added at last (world); None for none.

    Raises
    ------
    ValueError
        If shapes do not fit or the matrix is singular.

    Examples
    --------
    Double the size about position 10:

    >>> zoom = Affine([[0.5]], center=[10])
    >>> zoom.pull([[14.0]]).item(), zoom.points([[12.0]]).item()
    (12.0, 14.0)
    """

    matrix: ArrayLike
    center: ArrayLike
    translation: ArrayLike | None = None

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        center = np.array(self.center, np.float64)
        moved = self.translation
        translation = np.zeros(center.shape) if moved is None else np.array(moved, np.float64)
        if matrix.shape != (center.size, center.size) or translation.shape != center.shape:
            raise ValueError(
                f"matrix {matrix.shape}, center {center.shape} and translation "
                f"{translation.shape} do not fit: give (n, n), (n,) and (n,)"
            )
        if not 1 <= center.size <= 3:
            raise ValueError(f"a map has 1, 2 or 3 axes, not {center.size}")
        if not _is_invertible(matrix):
            raise ValueError(f"the matrix cannot be inverted: {matrix.tolist()}")
        self.__dict__.update(matrix=matrix, center=center, translation=translation)

    @cached_property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(np.asarray(self.center))

    @cached_property
    def is_identity(self) -> bool:
        """Whether the map leaves every position exactly where it is."""
        rows, moved = np.asarray(self.matrix).tolist(), np.asarray(self.translation).tolist()
        return not any(moved) and rows == _EYES[len(rows)]

    def stages(self) -> tuple[Stage, ...]:
        """One linear stage, or none for the identity."""
        return self._stages

    @cached_property
    def _stages(self) -> tuple[Stage, ...]:
        if self.is_identity:
            return ()
        matrix, center = np.asarray(self.matrix), np.asarray(self.center)
        return (linear(matrix, center - matrix @ center + np.asarray(self.translation)),)

    def then(self, other: Affine) -> Affine:
        """Both maps as one: this one is nearest to the output.

        Examples
        --------
        >>> double, move = Affine([[2.0]], [1.0]), Affine([[1.0]], [0.0], [5.0])
        >>> double.then(move).pull([[3.0]]).item(), move.then(double).pull([[3.0]]).item()
        (10.0, 15.0)
        """
        own, matrix = np.asarray(self.center), np.asarray(other.matrix)
        shown = own + np.asarray(self.translation) - np.asarray(other.center)
        moved = matrix @ shown + np.asarray(other.center) + np.asarray(other.translation) - own
        return Affine(matrix @ np.asarray(self.matrix), own, moved)

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`."""
        positions, own = split_axes(locations, self.ndim)
        center = np.asarray(self.center)
        from_center = positions[:, own] - np.asarray(self.translation) - center
        positions[:, own] = np.linalg.solve(np.asarray(self.matrix), from_center.T).T + center
        return positions


def _is_invertible(matrix: Floats) -> bool:
    # Of all matrices with rows of these lengths, rotations have the greatest determinant.
    rows = matrix.tolist()
    greatest = prod(hypot(*row) for row in rows)
    return isfinite(greatest) and abs(_determinant(rows)) > _SINGULAR * greatest


def _determinant(rows: list[list[float]]) -> float:
    """Of up to three rows: quicker than numpy's."""
    if len(rows) == 1:
        return rows[0][0]
    if len(rows) == 2:
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    first, (d, e, f), (g, h, i) = rows
    return first[0] * (e * i - f * h) - first[1] * (d * i - f * g) + first[2] * (d * h - e * g)


def rotation(angle: float, center: Sequence[float], plane: tuple[int, int] = (-2, -1)) -> Affine:
    """A rotation in the plane of two axes, true in world units whatever the voxel size.

    The source of (y, x) is ``(y cos + x sin, x cos - y sin)``, as seen from the centre.

    Parameters
    ----------
    angle
        in radians.
    center
        what stays where it is (world).
    plane
        the two axes (y, x).
    """
    return Affine(rotation_matrix(angle, len(center), plane), list(center))


def rotation_matrix(angle: float, ndim: int, plane: tuple[int, int] = (-2, -1)) -> Floats:
    """The matrix of a `rotation`."""
    matrix = eye(ndim)
    y, x = plane
    matrix[y, y] = matrix[x, x] = cos(angle)
    matrix[y, x], matrix[x, y] = sin(angle), -sin(angle)
    return matrix


def mirror_transpose(
    center: Sequence[float],
    mirror: Sequence[bool],
    permutation: Sequence[int] | None = None,
    pivot: Sequence[float] | None = None,
) -> Affine:
    """Mirror about `center`, then transpose about `pivot`: exact, and views on the voxel grid.

    Array data come out as ``flipped.transpose(permutation)``: output axis ``d`` shows axis
    ``permutation[d]``. A centre between two voxels or on a voxel centre, and a pivot on a common
    multiple of the voxel sizes, keep every array on its grid.

    Parameters
    ----------
    center
        what stays when mirroring (world).
    mirror
        for each input axis, whether it is mirrored.
    permutation
        for each output axis, the input axis it shows; None for no transposition.
    pivot
        what stays when transposing (world); None for `center`.

    Raises
    ------
    ValueError
        If lengths differ or `permutation` is none.

    Examples
    --------
    >>> import numpy as np
    >>> flip = mirror_transpose([1, 1.5], [False, True], [0, 1])
    >>> data = np.arange(6).reshape(2, 3)
    >>> flip.resample(data, (0, 0), (1, 1), (0, 0), (2, 3))
    array([[2, 1, 0],
           [5, 4, 3]])
    """
    ndim = len(center)
    order = list(range(ndim)) if permutation is None else [int(axis) for axis in permutation]
    if len(mirror) != ndim or sorted(order) != list(range(ndim)):
        raise ValueError(
            f"mirror {tuple(mirror)} and permutation {tuple(order)} do not fit {ndim} axes: "
            "give one entry per axis, and every axis once in the permutation"
        )
    middle = [float(v) for v in center]
    around = middle if pivot is None else [float(v) for v in pivot]
    signs = [-1.0 if flip else 1.0 for flip in mirror]
    matrix, moved = [[0.0] * ndim for _ in order], list(around)
    for axis, source in enumerate(order):
        matrix[source][axis], moved[source] = signs[source], around[axis]
    # output -> around + transpose (output - around) -> middle + flip (... - middle)
    places = zip(middle, signs, around, moved, strict=True)
    shift = [here + sign * (a - b - here) for here, sign, a, b in places]
    return Affine(matrix, [0.0] * ndim, shift)
