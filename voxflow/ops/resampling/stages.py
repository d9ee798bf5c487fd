"""The small pieces that every map is made of, before any array is looked at.

A map is a sequence of stages, each of the form ``x -> M x + t + field(x) + table(x)``: a matrix
and a translation, optionally with a smooth field of displacements (a cubic B-spline over a few
control points) or a table of displacements, one per section. A stage may also be seen in
perspective: its straight lines stay straight, and parallels meet. A matrix that follows a stage is
multiplied into it (`fuse`), so that a chain of maps becomes as few stages as possible.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: What is seen in perspective is shown at most so many times larger: behind that lies the horizon.
NEAREST = 1.0 / 64.0


@dataclass(frozen=True, eq=False)
class Field:
    """A cubic B-spline over an even grid of control points.

    Attributes
    ----------
    coefficients
        float64, (components, n0 + 2, n1 + 2, ...): spline coefficients with one
        mirrored neighbour on each side (axes with a single control point hold it 4 times).
    counts
        control points along each axis, without the neighbours.
    origin
        position of the first control point.
    spacing
        distance between control points along each axis.
    """

    coefficients: Floats
    counts: tuple[int, ...]
    origin: Floats
    spacing: Floats


@dataclass(frozen=True, eq=False)
class SectionTable:
    """One displacement per section.

    Section ``k`` is the slab ``[origin + k * thickness, origin + (k + 1) * thickness)`` along
    ``axis``; what lies before the first or after the last section moves with that one.

    Attributes
    ----------
    axis
        the axis across the sections.
    origin
        where the first section begins.
    thickness
        the thickness of every section.
    offsets
        float64, (sections, components).
    """

    axis: int
    origin: float
    thickness: float
    offsets: Floats


@dataclass(frozen=True, eq=False)
class Tilt:
    """Perspective: a linear stage ``a`` becomes ``a(c) + (a(x) - a(c)) / (1 + slope . (x - c))``.

    At the centre ``c`` nothing changes, neither place nor magnification. Along axes that are not
    foreshortened, ``c`` is where ``x`` is. The divisor is never less than `NEAREST`, such that
    positions stay finite.

    Attributes
    ----------
    center
        the position that is looked at.
    slope
        by how much the divisor changes per unit length, along each axis.
    axes
        bool, which axes are foreshortened.
    """

    center: Floats
    slope: Floats
    axes: NDArray[np.bool_]

    def seen(self, stage: Stage, positions: Floats, moved: Floats) -> Floats:
        """Positions (n, axes) as `stage` moved them, in perspective."""
        depth = 1.0 + (positions - self.center) @ self.slope
        center = np.where(self.axes, self.center, positions) @ stage.matrix.T + stage.shift
        seen: Floats = center + (moved - center) / np.maximum(depth, NEAREST)[:, None]
        return seen

    def derivatives(self, stage: Stage, positions: Floats) -> Floats:
        """Those of `seen` at positions (n, axes): (n, axes, axes), of input by output axes."""
        short = (positions - self.center) * self.axes
        depth = np.maximum(1.0 + (positions - self.center) @ self.slope, NEAREST)[:, None]
        shrunk = np.where(self.axes, 1.0 / depth, 1.0)[:, :, None] * np.eye(len(self.slope))
        whole: Floats = stage.matrix @ (shrunk - (short / depth**2)[:, :, None] * self.slope)
        return whole


@dataclass(frozen=True, eq=False)
class Stage:
    """``x -> matrix @ x + shift + field(x) + table(x)``, the last two being optional.

    Or, without these, the same matrix and shift in perspective (see `Tilt`).
    """

    matrix: Floats
    shift: Floats
    field: Field | None = None
    table: SectionTable | None = None
    tilt: Tilt | None = None

    @property
    def is_linear(self) -> bool:
        """Whether the stage is only a matrix and a shift."""
        return self.field is None and self.table is None and self.tilt is None

    def followed_by(self, linear: Stage) -> Stage:
        """This stage with the matrix and shift of `linear` applied to what it gives."""
        matrix = linear.matrix
        field, table = self.field, self.table
        if field is not None:
            mixed = np.tensordot(matrix, field.coefficients, axes=1)
            field = Field(mixed, field.counts, field.origin, field.spacing)
        if table is not None:
            table = SectionTable(
                table.axis, table.origin, table.thickness, table.offsets @ matrix.T
            )
        shift = matrix @ self.shift + linear.shift
        return Stage(matrix @ self.matrix, shift, field, table, self.tilt)

    def seen_from(self, origin: Floats) -> Stage:
        """The same stage in coordinates that count from `origin`.

        Positions far from zero lose digits; seen from the region at hand they do not.
        """
        field, table, tilt = self.field, self.table, self.tilt
        if field is not None:
            field = Field(field.coefficients, field.counts, field.origin - origin, field.spacing)
        if table is not None:
            begin = table.origin - float(origin[table.axis])
            table = SectionTable(table.axis, begin, table.thickness, table.offsets)
        if tilt is not None:
            tilt = Tilt(tilt.center - origin, tilt.slope, tilt.axes)
        shift = self.matrix @ origin - origin + self.shift
        return Stage(self.matrix, shift, field, table, tilt)

    def lifted(self, ndim: int) -> Stage:
        """The same stage with leading axes added (to `ndim`) that it leaves alone."""
        extra = ndim - len(self.shift)
        if extra == 0:
            return self
        matrix = eye(ndim)
        matrix[extra:, extra:] = self.matrix
        field = None if self.field is None else _lift_field(self.field, extra)
        table = self.table
        if table is not None:
            offsets = np.zeros((len(table.offsets), ndim))
            offsets[:, extra:] = table.offsets
            table = SectionTable(table.axis + extra, table.origin, table.thickness, offsets)
        tilt = self.tilt
        if tilt is not None:
            center, slope = _after(extra, 0.0, tilt.center), _after(extra, 0.0, tilt.slope)
            tilt = Tilt(center, slope, np.concatenate([np.zeros(extra, bool), tilt.axes]))
        return Stage(matrix, _after(extra, 0.0, self.shift), field, table, tilt)


def _lift_field(field: Field, extra: int) -> Field:
    components = len(field.coefficients) + extra
    there = (4,) * extra + field.coefficients.shape[1:]
    coefficients = np.zeros((components, *there))
    coefficients[extra:] = np.expand_dims(field.coefficients, tuple(range(1, 1 + extra)))
    return Field(
        coefficients,
        (1,) * extra + field.counts,
        _after(extra, 0.0, field.origin),
        _after(extra, 1.0, field.spacing),
    )


def _after(extra: int, filler: float, values: Floats) -> Floats:
    """`values` behind so many fillers: much quicker than `numpy.pad`."""
    out = np.full(extra + len(values), filler)
    out[extra:] = values
    return out


def eye(ndim: int) -> Floats:
    """A new matrix that moves nothing: as `numpy.eye`, which takes longer."""
    return _eye(ndim).copy()


@cache
def _eye(ndim: int) -> Floats:
    return np.eye(ndim)


def linear(matrix: Floats, shift: Floats) -> Stage:
    """A stage that is only ``matrix @ x + shift``."""
    return Stage(np.asarray(matrix, np.float64), np.asarray(shift, np.float64))


def scaling(factor: Floats, shift: Floats) -> Stage:
    """A linear stage that scales and shifts each axis by itself."""
    return linear(np.diag(np.asarray(factor, np.float64)), shift)


def fuse(stages: Iterable[Stage]) -> list[Stage]:
    """Multiply every linear stage into the stage before it.

    Examples
    --------
    >>> import numpy as np
    >>> double = scaling(np.array([2.0]), np.array([1.0]))
    >>> (only,) = fuse([double, double])
    >>> only.matrix.item(), only.shift.item()
    (4.0, 3.0)
    """
    fused: list[Stage] = []
    for stage in stages:
        if fused and stage.is_linear:
            fused[-1] = fused[-1].followed_by(stage)
        else:
            fused.append(stage)
    return fused
