"""Sections of a series that are shifted against one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from ..resampling.stages import Floats, SectionTable, Stage
from .base import Map, split_axes
from .positions import sections_of


@final
@dataclass(frozen=True, eq=False)
class SectionShifts(Map):
    """``input = output + offsets[k]`` for all positions in section ``k`` of the output.

    Section ``k`` is the slab ``[begin + k * thickness, begin + (k + 1) * thickness)`` along
    `axis`. What lies before the first or after the last section moves with that one. Every array
    uses the section that the centre of its voxel lies in.

    Parameters
    ----------
    offsets
        shape (sections, axes), world units; 0 along `axis`.
    begin
        where the first section begins (world).
    thickness
        of every section (world).
    axis
        the axis across the sections.

    Raises
    ------
    ValueError
        If shapes do not fit, or an offset leaves the section.

    Examples
    --------
    >>> import numpy as np
    >>> slip = SectionShifts(np.array([[0, 0], [0, 5], [0, 0]]), begin=0, thickness=40)
    >>> slip.pull([[20.0, 7.0], [60.0, 7.0]]).tolist()
    [[20.0, 7.0], [60.0, 12.0]]
    """

    offsets: Floats
    begin: float
    thickness: float
    axis: int = 0

    def __post_init__(self) -> None:
        offsets = np.array(self.offsets, np.float64)
        if offsets.ndim != 2 or not len(offsets) or not 1 <= offsets.shape[1] <= 3:
            raise ValueError(
                f"section offsets have shape {offsets.shape}: give (sections, axes) with at least "
                "one section and 1 to 3 axes"
            )
        if not 0 <= self.axis < offsets.shape[1] or offsets[:, self.axis].any():
            raise ValueError(
                f"sections along axis {self.axis} cannot be moved along it: its offsets must be 0"
            )
        if not float(self.thickness) > 0:
            raise ValueError(f"sections cannot be {self.thickness} thick")
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "begin", float(self.begin))
        object.__setattr__(self, "thickness", float(self.thickness))

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return int(self.offsets.shape[1])

    def stages(self) -> tuple[Stage, ...]:
        """One stage with a table, or none where no section is moved."""
        if not self.offsets.any():
            return ()
        return (Stage(np.eye(self.ndim), np.zeros(self.ndim), table=self._table()),)

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`. Exact."""
        positions, own = split_axes(locations, self.ndim)
        across = positions[:, own][:, self.axis]
        positions[:, own] -= self.offsets[sections_of(self._table(), across)]
        return positions

    def _table(self) -> SectionTable:
        return SectionTable(self.axis, self.begin, self.thickness, self.offsets)
