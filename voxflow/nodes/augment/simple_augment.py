"""Mirrors and transpositions."""

from __future__ import annotations

from itertools import permutations, product
from typing import TYPE_CHECKING, Any

from voxflow.nodes.augment.augment import probability
from voxflow.nodes.augment.fitting import OnFailure
from voxflow.nodes.augment.spatial import SpatialAugment
from voxflow.ops.maps.moves import Moves
from voxflow.ops.symmetries import Symmetry
from voxflow.pipeline.engine.same_objects import SameObjects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from voxflow.nodes.augment.moved_graph import Edges
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.geometry import Coordinate, Roi


class SimpleAugment(SpatialAugment):
    """Mirrors and transposes at random: views, nothing is interpolated.

    Axes are the spatial ones, from 0. Arrays are mirrored about the centre of all that is asked
    for, then transposed, so that everything in a batch stays registered. Where voxel sizes differ
    such that this would put one of the arrays between two voxels, the centre is moved down to the
    nearest place where it does not. Affinities, vectors and local shape descriptors that pass are
    turned, where their `ArraySpec` declares what they are: see `kind`.

    A point is a place, not a voxel: the mirror image of one on the lower face of a voxel lies on an
    upper face, which belongs to the next voxel. Points in the centres of voxels stay in theirs.

    Parameters
    ----------
    mirror_only
        The axes that may be mirrored; None: all.
    transpose_only
        The axes that may change places; None: all. Voxels have to be equally long along them.
    mirror_probs
        How likely each axis is mirrored; None: 0.5 for all.
    transpose_probs
        None: all permutations of the axes are alike. A mapping from permutations of all axes to
        weights. Or, for each axis, how likely it moves: the weight of a permutation is the product
        over all axes of that, or of one minus that for those that stay.
    p
        The probability with which the node does anything.
    edges
        What becomes of edges of graphs that leave the region: "keep", "clip" or "drop"; see
        `SpatialAugment`.
    on_failure
        What is done where more would be read than there is, see `SpatialAugment`.

    Raises
    ------
    ValueError
        If a probability lies outside of [0, 1]. At a request: if an axis does not exist, no
        permutation is left, axes could change places along which voxels differ in length, or
        affinities would have to show an offset that they have not.
    """

    def __init__(
        self,
        mirror_only: Sequence[int] | None = None,
        transpose_only: Sequence[int] | None = None,
        mirror_probs: Sequence[float] | None = None,
        transpose_probs: Mapping[tuple[int, ...], float] | Sequence[float] | None = None,
        p: float = 1.0,
        *,
        edges: Edges = "keep",
        on_failure: OnFailure = "error",
    ) -> None:
        self.mirror_only = mirror_only
        self.transpose_only = transpose_only
        self.mirror_probs = mirror_probs
        self.transpose_probs = transpose_probs
        for value in () if mirror_probs is None else mirror_probs:
            probability("mirror_probs", value)
        for value in _values(transpose_probs):
            if not value >= 0 or (value > 1 and not hasattr(transpose_probs, "get")):
                raise ValueError(f"transpose_probs has to hold probabilities, got {value}")
        self.p = probability("p", p)
        self._options(edges, on_failure)

    def draw(self, request: BatchRequest, rng: np.random.Generator) -> Map:
        """Which axes are mirrored, and how axes change places."""
        total = request.get_total_roi()
        if total is None:
            return Moves([0.0], [False], [0], [0.0])
        dims = total.dims
        mirror = (rng.random(dims) < self._chances(dims)).tolist()
        orders, weights = self._permutations(dims)
        self._check_voxel_sizes(request, orders)
        order = orders[int(rng.choice(len(orders), p=weights))]
        step = self.spec.get_lcm_voxel_size(request.array_specs)
        return Moves(*about_center(total, step, mirror, order))

    def possible(self, request: BatchRequest) -> Iterator[Symmetry]:
        """All that may be drawn."""
        total = request.get_total_roi()
        if total is None:
            return
        may = [[p > 0] if p in (0, 1) else [False, True] for p in self._chances(total.dims)]
        for order in self._permutations(total.dims)[0]:
            for mirror in product(*may):
                yield Symmetry(mirror, order)

    def _chances(self, dims: int) -> list[float]:
        given = [0.5] * dims if self.mirror_probs is None else list(self.mirror_probs)
        if len(given) != dims:
            raise ValueError(
                f"{self.name()} got {len(given)} mirror_probs for {dims} axes; give one for each"
            )
        may = _axes("mirror_only", self.mirror_only, dims)
        return [chance if axis in may else 0.0 for axis, chance in enumerate(given)]

    def _permutations(self, dims: int) -> tuple[list[tuple[int, ...]], list[float]]:
        """All permutations of the axes that can be drawn, with their probabilities."""
        may = _axes("transpose_only", self.transpose_only, dims)
        weights = {
            order: weight
            for order in permutations(range(dims))
            if all(axis in may or source == axis for axis, source in enumerate(order))
            and (weight := self._weight(order)) > 0
        }
        if not weights:
            raise ValueError(
                f"{self.name()}: transpose_probs {self.transpose_probs} leave no permutation of "
                f"the axes {sorted(may)}"
            )
        total = sum(weights.values())
        return list(weights), [weight / total for weight in weights.values()]

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

    def _check_voxel_sizes(self, request: BatchRequest, orders: list[tuple[int, ...]]) -> None:
        for key in request.array_specs:
            size = self.spec[key].voxel_size
            if size is None:
                continue
            axes = {a for order in orders for a, b in enumerate(order) if size[a] != size[b]}
            if axes:
                raise ValueError(
                    f"{self.name()} is to let the axes {sorted(axes)} of {key} change places, but "
                    f"its voxels of {size} are not equally long along them; give transpose_only= "
                    "with axes of equal voxel size, or [] for none"
                )


def about_center(
    total: Roi, step: Coordinate | None, mirror: Sequence[bool], order: Sequence[int]
) -> tuple[list[float], Sequence[bool], Sequence[int], list[float]]:
    """What `Moves` and `mirror_transpose` need to move a region about its centre.

    Parameters
    ----------
    total
        The region (world).
    step
        What all arrays have a whole number of voxels in (world); None: there are none. The centre
        is moved down to where these grids meet, or half way between.
    mirror, order
        Whether each axis is mirrored, and the axis that is shown along each.
    """
    center, pivot = _centers(total, step, None)
    # Where the centre comes to lie when axes change places about the pivot.
    moved = [0.0] * total.dims
    for axis, source in enumerate(order):
        moved[source] = float(pivot[source] + center[axis] - pivot[axis])
    return moved, mirror, order, [float(c) for c in pivot]


@SameObjects
def _centers(total: Roi, step: Coordinate | None, _: None) -> tuple[Coordinate, Coordinate]:
    """The centre of a region, as grids allow it, for mirroring and for transposing."""
    center = total.center
    if step is None:
        return center, center
    center = center * 2 // step * step / 2
    return center, center // step * step


def _axes(name: str, given: Sequence[int] | None, dims: int) -> set[int]:
    axes = set(range(dims)) if given is None else set(given)
    if not axes <= set(range(dims)):
        raise ValueError(
            f"{name} has to name spatial axes, 0 to {dims - 1}, got {list(given or ())}"
        )
    return axes


def _values(given: Any) -> list[float]:
    if given is None:
        return []
    return [float(value) for value in (given.values() if hasattr(given, "get") else given)]
