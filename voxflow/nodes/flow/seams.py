"""Do neighbouring blocks agree on what both of them see?"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.flow.overlapping_tiles import OverlappingTiles
from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.engine import VoxflowError, build
from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voxflow.nodes.flow.overlapping_tiles import Place
    from voxflow.pipeline.data import Array, ArrayKey
    from voxflow.pipeline.geometry import Roi

__all__ = ["Seam", "SeamMismatch", "SeamReport", "check_seams"]


@dataclass(frozen=True)
class Seam:
    """How far two neighbouring blocks are apart in one array.

    Attributes
    ----------
    key
        The array.
    blocks
        Where the two lie, world units.
    largest, mean
        Of the absolute differences of all voxels that both have.
    where
        The begin of the voxel where it is largest, world units.
    """

    key: ArrayKey
    blocks: tuple[Roi, Roi]
    largest: float
    mean: float
    where: Coordinate

    def __str__(self) -> str:
        first, second = self.blocks
        return (
            f"{self.key} differs by up to {self.largest:.4g} (mean {self.mean:.4g}), most at "
            f"{self.where}, between the blocks {first} and {second} (world units)"
        )


@dataclass(frozen=True)
class SeamReport:
    """What a check of seams found.

    Attributes
    ----------
    seams
        For each pair of blocks and each array, how far they are apart.
    tolerance
        Which difference is allowed.
    """

    seams: tuple[Seam, ...]
    tolerance: float

    @property
    def worst(self) -> Seam:
        """Where the difference is largest."""
        return max(self.seams, key=lambda seam: seam.largest)

    @property
    def largest(self) -> float:
        """The largest difference."""
        return self.worst.largest

    def __str__(self) -> str:
        beyond = sum(seam.largest > self.tolerance for seam in self.seams)
        return (
            f"{beyond} of {len(self.seams)} seams differ by more than {self.tolerance:g}; the "
            f"worst: {self.worst}"
        )


class SeamMismatch(VoxflowError):
    """Neighbouring blocks do not agree on what both of them see.

    Attributes
    ----------
    report
        What was found.
    """

    report: SeamReport

    def __init__(self, text: str) -> None:
        super().__init__(text)


def check_seams(
    pipeline: Any, reference: BatchRequest, *, overlap: Any, tolerance: float, pairs: int = 12
) -> SeamReport:
    """Make neighbouring blocks that overlap, and compare them where they do.

    A network that sees enough around each block says the same of a voxel, whichever block asks. If
    its context is too small, or its layers put zeros around what they see, it does not, and the
    prediction has seams. Blocks that are no multiple of the network's step apart
    (``Geometry.output_step``) differ as well: also the last ones along an axis, which are moved
    back inside.

    Parameters
    ----------
    pipeline
        What predicts, not built; without nodes that write.
    reference
        What one block asks for, as for `Scan`: arrays in one region, and placeholders.
    overlap
        By how much the blocks overlap: world units, one number or one for each axis; at most half
        a block.
    tolerance
        The largest difference that is allowed, in units of the arrays.
    pairs
        About how many pairs of neighbours are compared; they are spread over the volume, and over
        the axes along which there are neighbours.

    Raises
    ------
    SeamMismatch
        If there is a larger difference.
    ValueError
        If there are no two blocks that overlap.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> data = np.arange(100, dtype=np.float32)
    >>> line = gp.ArraySource(raw, data, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> block = gp.BatchRequest({raw: gp.Roi((0,), (80,))})
    >>> gp.check_seams(line, block, overlap=20, tolerance=0).largest
    0.0
    """
    asked = BatchRequest(random_seed=0)
    with build(pipeline, seed=0) as built:
        tiles = OverlappingTiles(reference, built.spec, overlap)
        neighbours = list(_pairs(tiles, pairs))
        if not neighbours:
            raise ValueError(
                f"there are no two blocks of {tiles.shape} in {tiles.region} that overlap by "
                f"{tiles.overlap} (world units): take smaller blocks, or a larger overlap"
            )
        seams: list[Seam] = []
        for places in neighbours:
            one, two = (
                built.request_batch(tiles.request(place, tiles.keys, asked)) for place in places
            )
            seams += (_seam(key, one[key], two[key]) for key in tiles.keys)
    report = SeamReport(tuple(seams), tolerance)
    if report.largest > tolerance:
        mismatch = SeamMismatch(
            f"{report}. Give the network more context, or take one whose layers do not pad; blocks "
            "have to be a multiple of its step apart. Or Blend the blocks"
        )
        mismatch.report = report
        raise mismatch
    return report


def _pairs(tiles: OverlappingTiles, count: int) -> Iterator[tuple[Place, Place]]:
    """Neighbours that overlap: as many along each axis, from the first to the last."""
    counts = [len(begins) for begins in tiles.begins]
    along = [axis for axis, n in enumerate(counts) if _overlap(tiles, axis, n)]
    for axis in along:
        shape = [n - (a == axis) for a, n in enumerate(counts)]
        total = math.prod(shape)
        each = min(-(-count // len(along)), total)
        numbers = {round(i * (total - 1) / max(each - 1, 1)) for i in range(each)}
        for number in sorted(numbers):
            place = tuple(int(i) for i in np.unravel_index(number, shape))
            yield place, tuple(i + (a == axis) for a, i in enumerate(place))


def _overlap(tiles: OverlappingTiles, axis: int, count: int) -> bool:
    """Whether all neighbours along an axis overlap, and there are some."""
    begins = tiles.begins[axis]
    return count > 1 and all(b - a < tiles.shape[axis] for a, b in itertools.pairwise(begins))


def _seam(key: ArrayKey, one: Array, two: Array) -> Seam:
    both = one.spec.region.intersect(two.spec.region)
    apart = _differences(one.crop(both).data, two.crop(both).data)
    size = one.spec.grid
    index = np.unravel_index(int(np.argmax(apart)), apart.shape)[apart.ndim - size.dims :]
    where = both.begin + size * Coordinate(int(i) for i in index)
    blocks = (one.spec.region, two.spec.region)
    return Seam(key, blocks, float(apart.max()), float(apart.mean()), where)


def _differences(one: NDArray[Any], two: NDArray[Any]) -> NDArray[np.float64]:
    """Absolute; what is not a number in only one of them is infinitely far from the other."""
    if one.dtype.kind in "bf":
        one, two = one.astype(np.float64), two.astype(np.float64)
    same = (one == two) | ((one != one) & (two != two))
    with np.errstate(invalid="ignore"):
        apart = np.where(one > two, one - two, two - one).astype(np.float64)
    return np.where(same, 0, np.nan_to_num(apart, nan=np.inf))
