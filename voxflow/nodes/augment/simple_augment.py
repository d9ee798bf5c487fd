"""Mirrors and transpositions."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

from voxflow.nodes.augment.augment import probability
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps import mirror_transpose
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.geometry import Roi


class SimpleAugment(SpatialAugment):
    """Mirrors and transposes at random: views, nothing is interpolated.

    Axes are the spatial ones, from 0. Arrays are mirrored about the centre of all that is asked
    for, then transposed, so that everything in a batch stays registered.

    Parameters
    ----------
    mirror_only
        The axes that may be mirrored; None: all.
    transpose_only
        The axes that may change places; None: all. They need equal voxel sizes.
    mirror_probs
        How likely each axis is mirrored; None: 0.5 for all.
    transpose_probs
        None: all permutations of the axes are alike. A mapping from permutations of all axes to
        weights. Or, for each axis, how likely it moves: the weight of a permutation is the product
        over all axes of that, or of one minus that for those that stay.
    p
        The probability with which the node does anything.

    Raises
    ------
    ValueError
        If a probability lies outside of [0, 1]. At a request: if an axis does not exist, or no
        permutation is left; if axes of different voxel size would change places.
    """

    def __init__(
        self,
        mirror_only: Sequence[int] | None = None,
        transpose_only: Sequence[int] | None = None,
        mirror_probs: Sequence[float] | None = None,
        transpose_probs: Mapping[tuple[int, ...], float] | Sequence[float] | None = None,
        p: float = 1.0,
    ) -> None:
        self.mirror_only = mirror_only
        self.transpose_only = transpose_only
        self.mirror_probs = mirror_probs
        self.transpose_probs = transpose_probs
        for value in mirror_probs or ():
            probability("mirror_probs", value)
        self.p = probability("p", p)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """Which axes are mirrored, and how axes change places."""
        total = request.get_total_roi()
        if total is None:
            return mirror_transpose([0.0], [False])
        dims = total.dims
        dice = rng.random(dims)
        chances = self._chances(dims)
        mirror = [bool(die < chance) for die, chance in zip(dice, chances, strict=True)]
        order = self._permutation(dims, rng)
        self._check_voxel_sizes(request, order)
        pivot = self._pivot(total, request) if order != tuple(range(dims)) else total.begin
        center = _transposed_center(total, pivot, order)
        return mirror_transpose(center, mirror, order, [float(c) for c in pivot])

    def _chances(self, dims: int) -> list[float]:
        given = [0.5] * dims if self.mirror_probs is None else list(self.mirror_probs)
        if len(given) != dims:
            raise ValueError(
                f"{self.name()} got {len(given)} mirror_probs for {dims} axes; give one for each"
            )
        may = _axes("mirror_only", self.mirror_only, dims)
        return [chance if axis in may else 0.0 for axis, chance in enumerate(given)]

    def _permutation(self, dims: int, rng: np.random.Generator) -> tuple[int, ...]:
        may = _axes("transpose_only", self.transpose_only, dims)
        allowed = [
            order
            for order in permutations(range(dims))
            if all(axis in may or source == axis for axis, source in enumerate(order))
        ]
        weights = [self._weight(order) for order in allowed]
        if not sum(weights) > 0:
            raise ValueError(
                f"{self.name()}: transpose_probs {self.transpose_probs} leave no permutation of "
                f"the axes {sorted(may)}"
            )
        total = sum(weights)
        return allowed[int(rng.choice(len(allowed), p=[w / total for w in weights]))]

    def _weight(self, order: tuple[int, ...]) -> float:
        if self.transpose_probs is None:
            return 1.0
        if hasattr(self.transpose_probs, "get"):
            return float(self.transpose_probs.get(order, 0.0))
        if len(self.transpose_probs) != len(order):
            raise ValueError(
                f"{self.name()} got {len(self.transpose_probs)} transpose_probs for {len(order)} "
                "axes; give one for each"
            )
        weight = 1.0
        for axis, chance in enumerate(self.transpose_probs):
            weight *= chance if order[axis] != axis else 1 - chance
        return weight

    def _check_voxel_sizes(self, request: BatchRequest, order: tuple[int, ...]) -> None:
        for key in request.array_specs:
            size = self.spec[key].voxel_size
            if size is not None and any(size[a] != size[b] for a, b in enumerate(order)):
                may = sorted(axis for axis, source in enumerate(order) if axis != source)
                raise ValueError(
                    f"{self.name()} cannot let the axes {may} of {key} change places, because its "
                    f"voxels of {size} are not as long along all of them; give transpose_only= "
                    "with axes of equal voxel size"
                )

    def _pivot(self, total: Roi, request: BatchRequest) -> Coordinate:
        """The centre, moved down to a place where all voxel grids meet."""
        spec = self.spec
        keys = [key for key in request.array_specs if not spec[key].nonspatial]
        step = spec.get_lcm_voxel_size(keys)
        return total.center if step is None else total.center // step * step


def _axes(name: str, given: Sequence[int] | None, dims: int) -> set[int]:
    axes = set(range(dims)) if given is None else set(given)
    if not axes <= set(range(dims)):
        raise ValueError(
            f"{name} has to name spatial axes, 0 to {dims - 1}, got {list(given or ())}"
        )
    return axes


def _transposed_center(total: Roi, pivot: Coordinate, order: tuple[int, ...]) -> list[float]:
    center: list[Any] = [None] * len(order)
    for axis, source in enumerate(order):
        center[source] = float(pivot[source] + total.center[axis] - pivot[axis])
    return center
