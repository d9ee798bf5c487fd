"""Offer less of an array or a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from voxflow.pipeline.data.array import off_grid
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi, exact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.data import Batch, BatchRequest, Key
    from voxflow.pipeline.geometry import Exact


class Crop(BatchFilter):
    """Limits the region in which an array or a graph is offered, and does nothing else.

    Parameters
    ----------
    key
        The array or graph.
    roi
        The region that is left, in world units; inside of what is provided upstream.
    fraction_negative
        Instead of `roi`: which part of the extent is cut off at the begin of each axis, rounded
        down to whole voxels (of a graph: to whole world units).
    fraction_positive
        The same at the end of each axis.

    Raises
    ------
    ValueError
        If both a region and fractions are given, or neither, or fractions leave nothing. At
        setup: if the region is not inside of what is provided or not on its voxel grid, or
        fractions are asked of an unbounded region.
    """

    only_fills: ClassVar[bool] = True

    def __init__(
        self,
        key: Key,
        roi: Roi | None = None,
        fraction_negative: Iterable[float] | None = None,
        fraction_positive: Iterable[float] | None = None,
    ) -> None:
        fractions = fraction_negative is not None or fraction_positive is not None
        if (roi is None) == (not fractions):
            raise ValueError(
                "Crop takes either roi=... or fraction_negative=/fraction_positive=..., "
                f"got {'both' if fractions else 'neither'}"
            )
        self.key = key
        self.roi = None if roi is None else Roi.like(roi)
        self._fractions = _both(fraction_negative, fraction_positive)

    def setup(self) -> None:
        """Offer the smaller region."""
        self.enable_autoskip()
        spec = self.spec[self.key].copy()
        if spec.roi is None:
            raise ValueError(f"{self.name()} cannot crop {self.key}, which has no region")
        roi = self._left(spec)
        if roi.dims != spec.roi.dims:
            raise ValueError(
                f"{self.name()} is to leave {roi} of {self.key}, which has {spec.roi.dims} axes: "
                f"{spec.roi} (world units)"
            )
        if roi.empty or not spec.roi.contains(roi):
            raise ValueError(
                f"{self.name()} is to leave {roi} of {self.key}, which is not inside of "
                f"{spec.roi}, where it is provided (world units); make it smaller"
            )
        voxel_size = getattr(spec, "voxel_size", None)
        if voxel_size is not None and roi.snap_to_grid(voxel_size) != roi:
            raise ValueError(f"{self.name()}, {self.key}: {off_grid(roi, voxel_size)}")
        spec.roi = roi
        self.updates(self.key, spec)

    @property
    def hands_on_recipes(self) -> bool:
        """It looks at nothing, but may change regions."""
        return True

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Nothing is left to do: the request is inside."""

    def _left(self, spec: Any) -> Roi:
        """The given region, or what fractions leave: cut at whole voxels, or world units."""
        roi: Roi = spec.roi
        if self.roi is not None:
            return self.roi
        if roi.unbounded:
            raise ValueError(
                f"{self.name()} cannot cut a fraction off {self.key}, whose region {roi} is "
                "unbounded; give roi=..."
            )
        if any(len(fractions) != roi.dims for fractions in self._fractions):
            raise ValueError(
                f"{self.name()} got fractions {self._fractions} for {self.key}, which has "
                f"{roi.dims} axes; give one for each"
            )
        step = getattr(spec, "voxel_size", None) or Coordinate((1,) * roi.dims)
        below, above = (
            Coordinate(f * e // s * s for f, e, s in zip(part, roi.shape, step, strict=True))
            for part in self._fractions
        )
        return roi.grow(-below, -above)


def _both(
    negative: Iterable[float] | None, positive: Iterable[float] | None
) -> tuple[tuple[Exact, ...], tuple[Exact, ...]]:
    """Fractions for both ends, 0 where none are given; exact, so that 0.29 of 100 is 29."""
    below = () if negative is None else tuple(exact(f) for f in negative)
    above = () if positive is None else tuple(exact(f) for f in positive)
    below, above = below or (0,) * len(above), above or (0,) * len(below)
    if len(below) != len(above) or min((*below, *above, 0)) < 0:
        raise ValueError(
            f"Crop needs fractions of 0 or more for each axis, got {negative} and {positive}"
        )
    if any(b + a >= 1 for b, a in zip(below, above, strict=True)):
        raise ValueError(f"Crop has to leave something of each axis, got {negative} and {positive}")
    return below, above
