"""Place an array so that it has its centre where another one has it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from voxflow.pipeline.data import ArrayKey, Batch, BatchRequest
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArraySpec


class AlignCenter(BatchFilter):
    """Moves an array in the world, as a whole, so that its centre is that of another one.

    For files that do not say where their labels lie, and of which labels are smaller than the image
    (as networks with valid convolutions need them): labels of 5 voxels for an image of 7 begin one
    voxel later. After that, regions are what they are everywhere.

    Parameters
    ----------
    key
        The array that is moved.
    reference
        The array that stays where it is.

    Raises
    ------
    TypeError
        If one is no `ArrayKey`.
    ValueError
        At setup, if one has no bounded region, or if the difference in size, along an axis, is not
        an even number of voxels of `key`: its voxels would lie half a voxel off those of the image.

    Examples
    --------
    >>> raw, labels = ArrayKey("RAW"), ArrayKey("LABELS")
    >>> AlignCenter(labels, raw).key
    LABELS
    """

    def __init__(self, key: ArrayKey, reference: ArrayKey) -> None:
        for given in (key, reference):
            if not isinstance(given, ArrayKey):
                raise TypeError(f"AlignCenter takes two ArrayKeys, got {given!r}")
        self.key = key
        self.reference = reference

    def setup(self) -> None:
        """Offer the array where it lies now."""
        spec, there = self.spec[self.key].copy(), self.spec[self.reference]
        for key, offered in ((self.key, spec), (self.reference, there)):
            if offered.roi is None or offered.roi.unbounded:
                raise ValueError(f"{self.name()}: {key} has no bounded region, so it has no centre")
        if spec.region.dims != there.region.dims:
            raise ValueError(
                f"{self.name()}: {self.key} has {spec.region.dims} axes, {self.reference} has "
                f"{there.region.dims}"
            )
        self._shift = self._needed_shift(spec, there)
        spec.roi = spec.region.shift(self._shift)
        self.updates(self.key, spec)

    def _needed_shift(self, spec: ArraySpec, there: ArraySpec) -> Coordinate:
        own, other, voxel = spec.region, there.region, spec.grid
        odd = []
        for axis, (mine, its, size) in enumerate(zip(own.shape, other.shape, voxel, strict=True)):
            difference = Fraction(its - mine) / size
            if difference % 2:
                odd.append(
                    f"axis {axis}: {self.reference} has {_voxels(its, size)}, {self.key} has "
                    f"{_voxels(mine, size)}, which differ by {difference}"
                )
        if odd:
            raise ValueError(
                f"{self.name()}: centres can only be the same where sizes differ by an even number "
                f"of voxels, or all would lie half a voxel off. {'; '.join(odd)}. Cut one voxel "
                f"off {self.key} or {self.reference}, or give it an offset."
            )
        return other.begin - own.begin + (other.shape - own.shape) / 2

    def skip_node(self, request: BatchRequest) -> bool:
        """Not asked for; a placeholder lies elsewhere upstream, too."""
        return self.key not in request

    def prepare(self, request: BatchRequest) -> BatchRequest:
        """Ask for the array where it lies upstream."""
        needed = BatchRequest()
        needed[self.key] = request[self.key].copy()
        needed[self.key].roi = self._there(request[self.key].region)
        # Only there: the region downstream may not exist upstream.
        request[self.key].roi = needed[self.key].roi
        return needed

    def process(self, batch: Batch, request: BatchRequest) -> Batch:
        """Say where it lies now."""
        made = Batch()
        if self.key not in request:  # a placeholder
            return made
        array = batch[self.key]
        spec = array.spec.copy()
        spec.roi = spec.region.shift(self._shift)
        made[self.key] = array.placed(spec)
        return made

    def _there(self, roi: Roi) -> Roi:
        return roi.shift(Coordinate((0,) * roi.dims) - self._shift)


def _voxels(extent: Fraction | int, size: Fraction | int) -> str:
    return f"{Fraction(extent) / size} voxels"
