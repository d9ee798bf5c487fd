"""Smooth random-looking deformation from a few displaced control points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ..resampling.stages import Field, Floats, Stage
from .base import Map, split_axes
from .positions import undo_field


@final
@dataclass(frozen=True, eq=False)
class ControlPointDisplacement(Map):
    """``input = output + d(output)``, where `d` takes given values on a grid of control points.

    Between the control points `d` is the cubic spline through their values, with mirrored ends
    (what ``scipy.ndimage.zoom(order=3)`` draws); beyond the outermost ones it stays constant.
    The control points lie evenly from `begin` to `end`, the outermost ones on these positions, so
    the map is the same for all arrays, whatever their region and voxel size.

    Parameters
    ----------
    displacements
        shape (axes, points along axis 0, points along axis 1, ...), world units.
    begin
        position of the first control point (world).
    end
        position of the last control point (world), beyond `begin`.

    Raises
    ------
    ValueError
        If shapes do not fit, or `end` is not beyond `begin`.

    Examples
    --------
    >>> import numpy as np
    >>> bulge = ControlPointDisplacement(np.array([[0.0, 2.0, 0.0]]), begin=[0], end=[20])
    >>> bulge.pull([[0.0], [10.0], [20.0]]).round(9).ravel().tolist()
    [0.0, 12.0, 20.0]
    >>> bulge.points([[12.0]]).round(9).item()
    10.0
    """

    displacements: Floats
    begin: Sequence[float]
    end: Sequence[float]
    _field: Field | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        values = np.array(self.displacements, np.float64)
        begin = np.array([float(v) for v in self.begin])
        end = np.array([float(v) for v in self.end])
        ndim = begin.size
        if (
            not 1 <= ndim <= 3
            or values.ndim != ndim + 1
            or len(values) != ndim
            or 0 in values.shape
        ):
            raise ValueError(
                f"displacements of shape {values.shape} do not fit {ndim} axes: give "
                "(axes, control points along each of them), for 1 to 3 axes"
            )
        if end.shape != begin.shape or not (end > begin).all():
            raise ValueError(
                f"control points cannot reach from {begin.tolist()} to {end.tolist()}: "
                "the end must lie beyond the begin along every axis"
            )
        object.__setattr__(self, "displacements", values)
        spline = _spline(values, begin, end) if values.any() else None
        object.__setattr__(self, "_field", spline)

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.displacements)

    def stages(self) -> tuple[Stage, ...]:
        """One stage with a field, or none where no control point is displaced."""
        if self._field is None:
            return ()
        return (Stage(np.eye(self.ndim), np.zeros(self.ndim), self._field),)

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`.

        Exact to 1e-9 of the control points' spacing. Where the displacement folds space, an input
        position shows up in several places, and one of them is given.
        """
        positions, own = split_axes(locations, self.ndim)
        if self._field is not None and len(positions):
            positions[:, own] = undo_field(self._field, positions[:, own])
        return positions


def _spline(values: Floats, begin: Floats, end: Floats) -> Field:
    """Spline coefficients through the control points, with one mirrored neighbour per side."""
    counts = values.shape[1:]
    coefficients = values
    for axis, count in enumerate(counts, 1):
        if count > 1:
            coefficients = ndimage.spline_filter1d(coefficients, 3, axis=axis, mode="mirror")
            pads = [(1, 1) if a == axis else (0, 0) for a in range(values.ndim)]
            coefficients = np.pad(coefficients, pads, mode="reflect")
        else:
            coefficients = np.repeat(coefficients, 4, axis=axis)
    spacing = (end - begin) / np.maximum(np.array(counts) - 1, 1)
    return Field(np.ascontiguousarray(coefficients), tuple(counts), begin, spacing)
