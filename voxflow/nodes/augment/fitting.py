"""What becomes of a map that reads more than there is: drawn anew, left out, or padded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from voxflow.ops.maps.moves import Moves
from voxflow.pipeline.engine.planning import plan as planned
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from voxflow.nodes.augment.spatial import SpatialAugment
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import Batch, BatchRequest

#: What a node does where its map reads more than there is, see `SpatialAugment`.
OnFailure = Literal["error", "retry", "skip", "pad", "reflect"]

#: So many maps are drawn at most for one request.
TRIES = 10


@dataclass(frozen=True)
class Fitted:
    """A map, how many were drawn for it, and how many of these read more than there is."""

    warp: Map
    drawn: int
    failed: int

    def count(self, node: SpatialAugment, batch: Batch) -> None:
        """Write the numbers into a batch, with which they travel."""
        name = type(node).__name__
        batch.profiling_stats.count(name, "maps drawn", self.drawn)
        batch.profiling_stats.count(name, "maps failed", self.failed)


def check_on_failure(on_failure: OnFailure) -> OnFailure:
    """What to do with a map that reads too much, or an error that says what can be done."""
    if on_failure not in get_args(OnFailure):
        raise ValueError(
            f"on_failure is one of {', '.join(map(repr, get_args(OnFailure)))}, got {on_failure!r}"
        )
    return on_failure


def fitted(node: SpatialAugment, request: BatchRequest, warp: Map) -> Fitted:
    """What a node makes of the map that was drawn first for a request."""
    pads, tries = node.on_failure in ("pad", "reflect"), 1
    if node.on_failure == "retry":
        tries = TRIES
    for failed in range(tries):
        if failed:
            again = request.reseed("retry", failed)
            warp = node.draw(again, again.rng(node._engine_label))
        if fits(node, request, warp):
            return Fitted(warp, failed + 1, failed)
    return Fitted(warp if pads else still(warp.ndim), tries, tries)


def fits(node: SpatialAugment, request: BatchRequest, warp: Map) -> bool:
    """Whether upstream can serve what a map reads, as far as geometry tells."""
    if warp.is_identity:
        return True
    asked = request.clone()
    node.ask(asked, warp)
    node.remove_provided(asked)
    asked._plans = None
    return not planned(node.get_upstream_provider(), asked, own_nodes_only=True).all_problems()


def still(ndim: int) -> Map:
    """The map that moves nothing."""
    return Moves([0.0] * ndim, [False] * ndim, range(ndim), [0.0] * ndim)


def clipped(
    source: Roi, there: Roi | None, voxel_size: Coordinate, ndim: int, mirrored: bool = False
) -> Roi:
    """What there is of a region along its last `ndim` axes, at least the nearest voxel.

    `mirrored`: and what its mirror images at the borders of `there` show.
    """
    if there is None:
        return source
    begin: list[Any] = list(source.begin)
    end: list[Any] = list(source.end)
    for axis in range(source.dims - ndim, source.dims):
        size, low, high = voxel_size[axis], there.begin[axis], there.end[axis]
        first, last = begin[axis], end[axis]
        if mirrored and low is not None:
            end[axis] = max(last, 2 * low - first)
        if mirrored and high is not None:
            begin[axis] = min(first, 2 * high - last)
        if low is not None:
            begin[axis] = max(begin[axis], low)
            end[axis] = max(end[axis], low + size)
        if high is not None:
            begin[axis] = min(begin[axis], high - size)
            end[axis] = min(end[axis], high)
    return Roi(begin, Coordinate(end) - Coordinate(begin))
