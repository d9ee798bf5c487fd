"""Offer less of an array or a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.pipeline.data import Batch, BatchRequest, Key


class Crop(BatchFilter):
    """Limits the region in which an array or a graph is offered, and does nothing else.

    Parameters
    ----------
    key
        The array or graph.
    roi
        The region that is left, in world units; inside of what is provided upstream.
    fraction_negative
        Instead of `roi`: which part of the extent is cut off at the begin of each axis.
    fraction_positive
        The same at the end of each axis.

    Raises
    ------
    ValueError
        If both a region and fractions are given, or neither, or fractions leave nothing. At
        setup: if the region is not inside of what is provided, or fractions are asked of an
        unbounded region.
    """

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
        self._fractions = _both(fraction_negative, fraction_positive) if fractions else None

    def setup(self) -> None:
        """Offer the smaller region."""
        spec = self.spec[self.key].copy()
        if spec.roi is None:
            raise ValueError(f"{self.name()} cannot crop {self.key}, which has no region")
        roi = self.roi if self._fractions is None else _cut(spec, *self._fractions)
        if roi is None or not spec.roi.contains(roi):
            raise ValueError(
                f"{self.name()} is to leave {roi} of {self.key}, which is not inside of "
                f"{spec.roi}, where it is provided (world units)"
            )
        spec.roi = roi
        self.updates(self.key, spec)

    def process(self, batch: Batch, request: BatchRequest) -> None:
        """Nothing is left to do: the request is inside."""


def _both(
    negative: Iterable[float] | None, positive: Iterable[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    below = None if negative is None else tuple(negative)
    above = None if positive is None else tuple(positive)
    below = (0.0,) * len(above or ()) if below is None else below
    above = (0.0,) * len(below) if above is None else above
    if len(below) != len(above) or any(b < 0 or a < 0 for b, a in zip(below, above, strict=True)):
        raise ValueError(f"Crop needs fractions of 0 or more for each axis, got {below}, {above}")
    if any(b + a >= 1 for b, a in zip(below, above, strict=True)):
        raise ValueError(f"Crop has to leave something of each axis, got {below}, {above}")
    return below, above


def _cut(spec: Any, negative: tuple[float, ...], positive: tuple[float, ...]) -> Roi:
    """Cut fractions off, to whole voxels of an array and to whole world units of a graph."""
    roi: Roi = spec.roi
    if roi.unbounded:
        raise ValueError(
            f"a fraction of the unbounded region {roi} cannot be cut off; give roi=..."
        )
    step = getattr(spec, "voxel_size", None) or Coordinate((1,) * roi.dims)
    below = Coordinate(
        int(f * e / s) * s for f, e, s in zip(negative, roi.shape, step, strict=True)
    )
    above = Coordinate(
        int(f * e / s) * s for f, e, s in zip(positive, roi.shape, step, strict=True)
    )
    return roi.grow(-below, -above)
