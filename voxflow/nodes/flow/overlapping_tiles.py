"""Where tiles lie that overlap: the geometry of blending, and of looking for seams."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import ArrayKey, BatchRequest, RunPosition
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.pipeline.geometry.tiling import starts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voxflow.pipeline.data import ProviderSpec

Place = tuple[int, ...]
"""Which tile: its number along each axis."""


class OverlappingTiles:
    """Tiles of one size that overlap, anchored where the data begin; the last is moved back.

    Parameters
    ----------
    reference
        What one tile asks for. All its arrays lie in one region; placeholders may lie elsewhere.
    offered
        What is provided upstream.
    overlap
        By how much neighbours overlap at least: world units, one number, or one for each axis.

    Attributes
    ----------
    keys
        The arrays of the reference.
    shape
        Of a tile, world units.
    region
        What all tiles cover, world units.
    begins
        For each axis, where the tiles begin, world units.

    Raises
    ------
    ValueError
        If the reference or the overlap does not fit, or no tile fits into what is provided.
    """

    def __init__(self, reference: BatchRequest, offered: ProviderSpec, overlap: Any) -> None:
        self.keys, roi = _one_region(reference, offered)
        self._reference = _at_origin(reference, roi)
        self.shape: Coordinate = roi.shape
        step = offered.get_lcm_voxel_size(reference.array_specs)
        self.overlap = _checked_overlap(overlap, roi, step or Coordinate((1,) * roi.dims))
        low, high = _shifts(self._reference, offered, step or Coordinate((1,) * roi.dims))
        self.region = Roi(low, high - low + roi.shape)
        sides = zip(
            self.region.begin, self.region.end, self.shape, self.shape - self.overlap, strict=True
        )
        self.begins = [starts(*side) for side in sides]

    def roi(self, place: Place) -> Roi:
        """Where a tile lies."""
        corner = [begins[i] for begins, i in zip(self.begins, place, strict=True)]
        return Roi(Coordinate(corner), self.shape)

    def overlapping(self, regions: Iterable[Roi]) -> list[Place]:
        """The tiles that hold something of these regions, in a fixed order; at least one each."""
        found: set[Place] = set()
        for region in regions:
            sides = zip(self.begins, self.shape, region.begin, region.end, strict=True)
            found.update(itertools.product(*(_between(*side) for side in sides)))
        return sorted(found)

    def request(self, place: Place, keys: Iterable[ArrayKey], asked: BatchRequest) -> BatchRequest:
        """What a tile asks for.

        Its seed follows from the batch and from where the tile lies, not from which part of the
        batch is asked for: in a scan, a tile is the same for all blocks.

        Parameters
        ----------
        place
            Which tile.
        keys
            Which of the arrays.
        asked
            What is asked of the node.
        """
        corner = self.roi(place).begin
        position, name = asked.position, ("tile", *map(str, corner))
        if position is None:
            tile = asked.reseed(*name)
        else:
            tile = asked.at(RunPosition(position.seed, position.index, (name,)))
        wanted = set(keys)
        tile.array_specs = {
            key: spec.copy()
            for key, spec in self._reference.array_specs.items()
            if spec.placeholder or key in wanted
        }
        tile.graph_specs = {key: s.copy() for key, s in self._reference.graph_specs.items()}
        tile.write_rois = None
        for _, spec in tile.items():
            if spec.roi is not None:
                spec.roi = spec.roi.shift(corner)
        return tile


def _one_region(reference: BatchRequest, offered: ProviderSpec) -> tuple[list[ArrayKey], Roi]:
    wanted = {key: spec for key, spec in reference.items() if not spec.placeholder}
    missing = [str(key) for key in reference if key not in offered]
    if missing:
        raise ValueError(f"the reference asks for {', '.join(missing)}, which is not provided")
    for key, spec in wanted.items():
        if not isinstance(key, ArrayKey) or offered[key].nonspatial or spec.roi is None:
            raise ValueError(f"the reference asks for {key}, which is no array with a region")
    rois = {spec.roi for spec in wanted.values()}
    if len(rois) != 1 or any(roi.empty or roi.unbounded for roi in rois):
        found = ", ".join(f"{key} {spec.roi}" for key, spec in wanted.items()) or "nothing"
        raise ValueError(
            f"a tile is one region of all arrays that are put together, the reference asks for "
            f"{found} (world units). Leave out the inputs of a network: Predict(context=...) knows "
            "what it needs of them"
        )
    return list(wanted), rois.pop()


def _at_origin(reference: BatchRequest, roi: Roi) -> BatchRequest:
    """The reference moved, so that its tile begins at the origin: on the grid of all arrays."""
    moved = reference.clone()
    for _, spec in moved.items():
        if spec.roi is not None:
            spec.roi = spec.roi.shift(-roi.begin)
    return moved


def _checked_overlap(overlap: Any, roi: Roi, step: Coordinate) -> Coordinate:
    given = Coordinate(overlap if np.iterable(overlap) else (overlap,) * roi.dims)
    if given.dims != roi.dims or None in given:
        raise ValueError(
            f"overlap={given} has {given.dims} numbers, the reference {roi.dims} axes; give one "
            "number for each axis, in world units"
        )
    if any(o < 0 or 2 * o > size for o, size in zip(given, roi.shape, strict=True)):
        raise ValueError(
            f"overlap={given} is to lie between 0 and half a tile, which is {roi.shape / 2} "
            "(world units)"
        )
    if any(given % step) or any(roi.shape % step):
        raise ValueError(
            f"overlap={given} and the tile's {roi.shape} have to be whole numbers of voxels, which "
            f"meet every {step} (world units)"
        )
    return given


def _shifts(
    reference: BatchRequest, offered: ProviderSpec, step: Coordinate
) -> tuple[Coordinate, Coordinate]:
    """The lowest and the highest shift of the reference that keeps it inside what is provided."""
    low, high = [], []
    for axis in range(step.dims):
        ranges = [
            (whole.begin[axis] - spec.roi.begin[axis], whole.end[axis] - spec.roi.end[axis])
            for key, spec in reference.items()
            if spec.roi is not None
            and (whole := offered[key].roi) is not None
            and whole.begin[axis] is not None
        ]
        if not ranges:
            raise ValueError(f"nothing that the reference asks for is bounded in axis {axis}")
        low.append(-(-max(first for first, _ in ranges) // step[axis]) * step[axis])
        high.append(min(last for _, last in ranges) // step[axis] * step[axis])
    if any(first > last for first, last in zip(low, high, strict=True)):
        found = ", ".join(f"{k} {s.roi} of {offered[k].roi}" for k, s in reference.items())
        raise ValueError(
            f"a tile like the reference fits nowhere into what is provided: it is {found} (world "
            "units, moved to the origin); make the reference smaller, or put Pad after the source"
        )
    return Coordinate(low), Coordinate(high)


def _between(begins: Sequence[Any], size: Any, low: Any, high: Any) -> range:
    """Which tiles of one axis hold something between two places."""
    first = min(bisect_right(begins, low - size), len(begins) - 1)
    return range(first, max(first + 1, bisect_left(begins, high)))
