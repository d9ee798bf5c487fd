"""Several maps as one: an array is resampled once, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from ..resampling.stages import Floats, Stage
from .base import Map, split_axes


@final
@dataclass(frozen=True, eq=False)
class Compose(Map):
    """Maps applied one after another to output positions: the first is nearest to the output.

    In a chain of nodes the first map is that of the node furthest downstream.

    Parameters
    ----------
    maps
        at least one, all of the same number of axes. Compositions are taken apart.

    Raises
    ------
    ValueError
        If there is no map, or they differ in the number of axes.

    Examples
    --------
    >>> from voxflow.ops.maps.affine import Affine
    >>> double, move = Affine([[2.0]], [0.0]), Affine([[1.0]], [0.0], [5.0])
    >>> Compose([double, move]).pull([[1.0]]).item()
    7.0
    >>> Compose([move, double]).pull([[1.0]]).item()
    12.0
    """

    maps: Sequence[Map]

    def __post_init__(self) -> None:
        flat: list[Map] = []
        for part in self.maps:
            flat.extend(part.maps if isinstance(part, Compose) else [part])
        if len({part.ndim for part in flat}) != 1:
            raise ValueError(
                f"maps of {[part.ndim for part in flat]} axes cannot be composed: "
                "give at least one, all with the same number of axes"
            )
        object.__setattr__(self, "maps", tuple(flat))

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.maps[0].ndim

    def stages(self) -> tuple[Stage, ...]:
        """The stages of all maps, in order from output to input."""
        return tuple(stage for part in self.maps for stage in part.stages())

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`.

        Positions that one of the maps does not show stay what it makes of them: infinite.
        """
        positions, _ = split_axes(locations, self.ndim)
        for part in reversed(self.maps):
            shown = np.isfinite(positions).all(axis=1)
            positions[shown] = part.points(positions[shown])
        return positions
