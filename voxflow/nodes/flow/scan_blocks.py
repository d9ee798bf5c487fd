"""Which blocks a scan asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.geometry import Coordinate, Roi, Tiling, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.pipeline.data import Key, ProviderSpec


class ScanBlocks:
    """The requests of a scan, one for each block.

    Where a block lies is a shift of the reference. All keys allow a range of shifts, from the one
    that brings the reference to the begin of what is provided to the one that brings it to the
    end; the blocks are a tiling of what the ranges have in common::

        provided   |--------------------------|
        reference    |---|                        (anywhere)
        blocks     |---||---||---|      |---|      stride = the smallest extent of any key
                                     |---|         the last one moved back

    Parameters
    ----------
    reference
        What one block asks for.
    request
        What is asked of the scan; empty: everything.
    offered
        What is provided upstream.

    Raises
    ------
    ValueError
        If the reference fits nowhere, or nothing bounds the scan.
    """

    def __init__(
        self, reference: BatchRequest, request: BatchRequest, offered: ProviderSpec
    ) -> None:
        self._reference = reference
        self._request = request
        keys = _keys(reference, request, offered)
        rois: dict[Any, Roi] = {key: reference[key].region for key in keys}
        low, high = _shift_range(rois, offered)
        extents = [roi.shape for roi in rois.values()]
        self._stride = Coordinate(min(axis) for axis in zip(*extents, strict=True))
        self._shifts: Sequence[Coordinate] | Tiling
        if len(request) == 0:
            self._shifts = Tiling(Roi(low, high - low + self._stride), self._stride)
        else:
            self._shifts = self._needed(rois, low, high)

    def _needed(self, rois: dict[Any, Roi], low: Coordinate, high: Coordinate) -> list[Coordinate]:
        """The shifts of the blocks that a part of the whole needs."""
        found: dict[Coordinate, None] = {}
        for key, roi in rois.items():
            whole = Roi(roi.begin + low, roi.shape + high - low)
            asked = self._request[key].roi
            if not whole.contains(asked):
                raise ValueError(
                    f"blocks like the reference can cover {whole} of {key}, not all of {asked} "
                    "(world units); ask for that, or make the reference smaller"
                )
            tiles = Tiling(whole, roi.shape, self._stride).within(_with_last(asked, whole, roi))
            found.update((tile.begin - roi.begin, None) for tile in tiles)
        return sorted(found, key=lambda shift: shift[::-1])

    def __len__(self) -> int:
        return len(self._shifts)

    def __iter__(self) -> Iterator[BatchRequest]:
        for shift in self._shifts:
            at = shift.begin if isinstance(shift, Roi) else shift
            yield self._block(at)

    def _block(self, shift: Coordinate) -> BatchRequest:
        # The seed follows from where the block lies, not from its number, so that a part of the
        # whole gets the same as the whole.
        block = self._request.reseed("block", *map(str, shift))
        block.array_specs = {k: s.copy() for k, s in self._reference.array_specs.items()}
        block.graph_specs = {k: s.copy() for k, s in self._reference.graph_specs.items()}
        for _, spec in block.items():
            if spec.roi is not None:
                spec.roi = spec.roi.shift(shift)
        return block


def _keys(reference: BatchRequest, request: BatchRequest, offered: ProviderSpec) -> list[Key]:
    missing = [str(key) for key in reference if key not in offered]
    if missing:
        raise ValueError(f"the reference asks for {', '.join(missing)}, which is not provided")
    missing = [str(key) for key in request if key not in reference]
    if missing:
        raise ValueError(f"asked for {', '.join(missing)}, which is not in the scan's reference")
    keys = [key for key in (request if len(request) else reference) if reference[key].roi]
    if not keys:
        raise ValueError("the reference has no key with a region, so there is nothing to scan")
    return keys


def _shift_range(rois: dict[Any, Roi], offered: ProviderSpec) -> tuple[Coordinate, Coordinate]:
    """The lowest and the highest shift that keeps all keys inside what is provided."""
    dims = next(iter(rois.values())).dims
    low: list[Any] = [None] * dims
    high: list[Any] = [None] * dims
    for key, roi in rois.items():
        total = offered[key].roi
        if total is None:
            continue
        for axis in range(dims):
            if total.begin[axis] is None:
                continue
            first = total.begin[axis] - roi.begin[axis]
            last = total.end[axis] - roi.end[axis]
            low[axis] = first if low[axis] is None else max(low[axis], first)
            high[axis] = last if high[axis] is None else min(high[axis], last)
    _check_range(rois, offered, low, high)
    return Coordinate(low), Coordinate(high)


def _with_last(asked: Roi, whole: Roi, block: Roi) -> Roi:
    """A region that also needs the last block of an axis if that one overlaps what is asked for.

    The last block is moved back over the one before it, and what comes later stays: so it has to
    come for a part as it does for the whole.
    """
    end = Coordinate(
        last if stop > last - extent else stop
        for stop, last, extent in zip(asked.end, whole.end, block.shape, strict=True)
    )
    return Roi(asked.begin, end - asked.begin)


def _check_range(
    rois: dict[Any, Roi], offered: ProviderSpec, low: list[Any], high: list[Any]
) -> None:
    there = "; ".join(
        f"{key}: one block {describe(roi, getattr(offered[key], 'voxel_size', None))}, "
        f"provided {offered[key].roi}"
        for key, roi in rois.items()
    )
    for axis, (first, last) in enumerate(zip(low, high, strict=True)):
        if first is None:
            raise ValueError(f"nothing bounds axis {axis} of the scan ({there}); use Crop upstream")
        if last < first:
            raise ValueError(
                f"no block fits along axis {axis}, it misses {first - last} world units ({there}); "
                "make the reference smaller, or put Pad after the source"
            )
