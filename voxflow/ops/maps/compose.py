"""Several maps as one: an array is resampled once, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
        at least one. Those of fewer axes than others leave the leading ones alone. Compositions
        are taken apart.

    Raises
    ------
    ValueError
        If there is no map.

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
        if not flat:
            raise ValueError("a composition needs at least one map")
        object.__setattr__(self, "maps", tuple(flat))

    @cached_property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return max(part.ndim for part in self.maps)

    def stages(self) -> tuple[Stage, ...]:
        """The stages of all maps, in order from output to input."""
        return self._stages

    @cached_property
    def _stages(self) -> tuple[Stage, ...]:
        ndim = self.ndim
        return tuple(stage.lifted(ndim) for part in self.maps for stage in part.stages())

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`.

        Positions that one of the maps does not show stay what it makes of them: infinite.
        """
        positions, _ = split_axes(locations, self.ndim)
        for part in reversed(self.maps):
            shown = np.isfinite(positions).all(axis=1)
            positions[shown] = part.points(positions[shown])
        return positions
