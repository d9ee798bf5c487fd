"""Which blocks a scan asks for."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.geometry import Coordinate, Roi, Tiling, describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.pipeline.data import Key, ProviderSpec


class ScanBlocks:
    """The requests of a scan, one for each block.

    Where a block lies is a shift of the reference. All keys of the reference allow a range of
    shifts, from the one that brings the reference to the begin of what is provided to the one that
    brings it to the end; the blocks are a tiling of what the ranges have in common::

        provided   |--------------------------|
        reference    |---|                        (anywhere)
        blocks     |---||---||---|      |---|      stride = the smallest extent of any key
                                     |---|         the last one moved back

    So where the blocks lie depends on what is provided and on the reference, and not on what is
    asked of the scan: that decides which of them are needed. Where blocks overlap, what comes
    later stays: a voxel belongs to the last block that holds it.

    Along an axis that nothing bounds, only a part can be asked for. The blocks then lie where the
    reference does, or any number of strides from there.

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
        rois = _regions(reference, request, offered)
        step = _common_step(rois, offered)
        stride = _stride(rois, step)
        asked = {
            key: spec.roi for key, spec in request.items() if key in rois and spec.roi is not None
        }
        low, high = _shift_range(rois, asked, offered, stride, step)
        self._covered = {
            key: Roi(roi.begin + low, roi.shape + high - low) for key, roi in rois.items()
        }
        # What is tiled are the places of a block's own corner.
        self._places = Tiling(Roi(low, high - low + stride), stride)
        self._numbers: Sequence[int] = range(len(self._places))
        if len(request):
            self._numbers = self._needed(rois, asked, stride)

    @property
    def covered(self) -> dict[Any, Roi]:
        """The region of each key that all blocks of the scan cover, in world units."""
        return self._covered

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[BatchRequest]:
        return (self._block(self._places[number].begin) for number in self._numbers)

    def _needed(self, rois: dict[Any, Roi], asked: dict[Any, Roi], stride: Coordinate) -> list[int]:
        """The numbers of the blocks that a part of the whole needs."""
        counts = self._places.counts
        steps = [math.prod(counts[:axis]) for axis in range(len(counts))]
        needed: set[int] = set()
        for key, part in asked.items():
            whole = self._covered[key]
            if not whole.contains(part):
                raise ValueError(
                    f"blocks like the reference can cover {whole} of {key}, not all of {part} "
                    "(world units); ask for that, or make the reference smaller"
                )
            span = whole.shape - rois[key].shape
            sides = zip(part.begin - whole.begin, part.end - whole.begin, span, stride, strict=True)
            ranges = [
                [number * step for number in _owners(*side)]
                for side, step in zip(sides, steps, strict=True)
            ]
            needed.update(map(sum, itertools.product(*ranges)))
        return sorted(needed)

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


def _owners(begin: Any, end: Any, span: Any, stride: Any) -> range:
    """Which tiles of one axis are the last to hold a place between begin and end.

    Tile i begins at ``min(i * stride, span)``.
    """
    last = -(-span // stride)
    first = last if begin >= span else begin // stride
    stop = last + 1 if end > span else -(-end // stride)
    return range(first, max(first + 1, stop))


def _regions(
    reference: BatchRequest, request: BatchRequest, offered: ProviderSpec
) -> dict[Any, Roi]:
    """The regions of the reference."""
    missing = [str(key) for key in reference if key not in offered]
    if missing:
        raise ValueError(f"the reference asks for {', '.join(missing)}, which is not provided")
    missing = [str(key) for key in request if key not in reference]
    if missing:
        raise ValueError(f"asked for {', '.join(missing)}, which is not in the scan's reference")
    rois = {key: spec.roi for key, spec in reference.items() if spec.roi is not None}
    if not rois:
        raise ValueError("the reference has no key with a region, so there is nothing to scan")
    for key, roi in rois.items():
        if roi.empty or roi.unbounded:
            raise ValueError(f"the reference asks for {roi} of {key}, which cannot be a block")
    if len({roi.dims for roi in rois.values()}) > 1:
        found = ", ".join(f"{key}: {roi.dims}" for key, roi in rois.items())
        raise ValueError(f"the regions of the reference differ in their dimensions ({found})")
    return rois


def _common_step(rois: dict[Any, Roi], offered: ProviderSpec) -> Coordinate | None:
    """The smallest shift that is a whole number of voxels of every array."""
    return offered.get_lcm_voxel_size([key for key in rois if key in offered.array_specs])


def _stride(rois: dict[Any, Roi], step: Coordinate | None) -> Coordinate:
    extents = [roi.shape for roi in rois.values()]
    stride = Coordinate(min(axis) for axis in zip(*extents, strict=True))
    if step is None:
        return stride
    fitting = stride // step * step
    if 0 in fitting:
        raise ValueError(
            f"blocks of {stride} cannot be laid side by side on the voxel grids of all arrays, "
            f"which meet every {step} (world units); make the reference at least that large"
        )
    return fitting


def _shift_range(
    rois: dict[Any, Roi],
    asked: dict[Any, Roi],
    offered: ProviderSpec,
    stride: Coordinate,
    step: Coordinate | None,
) -> tuple[Coordinate, Coordinate]:
    """The lowest and the highest shift that keeps all keys inside what is provided."""
    low: list[Any] = []
    high: list[Any] = []
    for axis in range(stride.dims):
        first, last = _bounds(rois, offered, axis)
        if first is None:
            first, last = _bounds_of_part(rois, asked, axis, stride[axis])
        elif step is not None:
            first, last = -(-first // step[axis]) * step[axis], last // step[axis] * step[axis]
        low.append(first)
        high.append(last)
    _check_range(rois, offered, low, high)
    return Coordinate(low), Coordinate(high)


def _bounds(rois: dict[Any, Roi], offered: ProviderSpec, axis: int) -> tuple[Any, Any]:
    pairs = []
    for key, roi in rois.items():
        total = offered[key].roi
        if total is not None and total.begin[axis] is not None:
            pairs.append((total.begin[axis] - roi.begin[axis], total.end[axis] - roi.end[axis]))
    if not pairs:
        return None, None
    return max(first for first, _ in pairs), min(last for _, last in pairs)


def _bounds_of_part(
    rois: dict[Any, Roi], asked: dict[Any, Roi], axis: int, stride: Any
) -> tuple[Any, Any]:
    """The shifts of all blocks that hold something that is asked for, in whole strides."""
    sides = [
        (part.begin[axis] - rois[key].begin[axis], part.end[axis] - rois[key].begin[axis])
        for key, part in asked.items()
        if part.begin[axis] is not None
    ]
    if not sides:
        return None, None
    first = min(begin for begin, _ in sides) // stride
    # The last block that begins before the end: it owns what it holds, see above.
    last = -(-max(end for _, end in sides) // stride) - 1
    return first * stride, max(first, last) * stride


def _check_range(
    rois: dict[Any, Roi], offered: ProviderSpec, low: list[Any], high: list[Any]
) -> None:
    there = "; ".join(
        f"{key}: one block {describe(roi, _grid(key, offered))}, provided {offered[key].roi}"
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


def _grid(key: Key, offered: ProviderSpec) -> Coordinate | None:
    voxel_size: Coordinate | None = getattr(offered[key], "voxel_size", None)
    return voxel_size
