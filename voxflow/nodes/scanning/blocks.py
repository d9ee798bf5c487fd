"""Which blocks a scan asks for."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from voxflow.pipeline.data import BatchRequest
from voxflow.pipeline.geometry import Coordinate, Roi, Tiling, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import ArrayKey, Key, ProviderSpec


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
    asked of the scan: that decides which of them are needed. Where blocks overlap, a voxel belongs
    to the first block that holds it: what belongs to a block ends on the lines of one grid. It is
    the `write_rois` of the block's request.

    Along an axis that nothing bounds, only a part can be asked for. The blocks then lie where the
    reference does, or any number of strides from there.

    Blocks are counted from 0, the first axis varies fastest; nothing is listed, so that millions
    of blocks take no memory.

    Parameters
    ----------
    reference
        What one block asks for.
    request
        What is asked of the scan; empty: everything.
    offered
        What is provided upstream.

    Attributes
    ----------
    stride
        From one block to the next, in world units.
    numbers
        The blocks that are needed, of all that there are.

    Raises
    ------
    ValueError
        If the reference fits nowhere, or nothing bounds the scan.
    """

    stride: Coordinate
    numbers: Sequence[int]

    def __init__(
        self, reference: BatchRequest, request: BatchRequest, offered: ProviderSpec
    ) -> None:
        self._reference = reference
        self._request = request
        rois = _regions(reference, request, offered)
        step = _common_step(rois, offered)
        self.stride = stride = _stride(rois, step)
        asked = {
            key: spec.roi for key, spec in request.items() if key in rois and spec.roi is not None
        }
        low, high = _shift_range(rois, asked, offered, stride, step)
        self._covered = {
            key: Roi(roi.begin + low, roi.shape + high - low) for key, roi in rois.items()
        }
        # What is tiled are the places of a block's own corner.
        self._places = Tiling(Roi(low, high - low + stride), stride)
        self._tilings = {key: Tiling(self._covered[key], rois[key].shape, stride) for key in rois}
        self.numbers = range(len(self._places))
        if len(request):
            self.numbers = self._needed(asked)

    @property
    def covered(self) -> dict[Any, Roi]:
        """The region of each key that all blocks of the scan cover, in world units."""
        return self._covered

    @property
    def counts(self) -> tuple[int, ...]:
        """How many blocks there are along each axis, needed or not."""
        return self._places.counts

    @property
    def total(self) -> int:
        """How many blocks there are, needed or not."""
        return len(self._places)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[BatchRequest]:
        return map(self.request, self.numbers)

    def _needed(self, asked: dict[Any, Roi]) -> Sequence[int]:
        """The numbers of the blocks that a part of the whole needs."""
        needed = [
            _Numbers(self._part(key, roi).axis_numbers, self.counts) for key, roi in asked.items()
        ]
        if len(set(needed)) <= 1:
            return needed[0] if needed else range(len(self._places))
        return sorted(set(itertools.chain(*needed)))

    def _part(self, key: Any, part: Roi) -> Tiling:
        whole = self._covered[key]
        if not whole.contains(part):
            raise ValueError(
                f"blocks like the reference can cover {whole} of {key}, not all of {part} "
                f"(world units); ask for Roi({whole.begin}, {whole.shape}), or make the reference "
                "smaller"
            )
        return self._tilings[key].within(part)

    def request(self, number: int, following: int | None = None) -> BatchRequest:
        """What one block asks for; it is told how far it is to the one that follows."""
        place = self._places.place(number)
        shift = self._places.corner_at(place)
        # The seed follows from where the block lies, not from its number, so that a part of the
        # whole gets the same as the whole.
        block = self._request.reseed("block", *map(str, shift))
        block.array_specs = {k: _shifted(s, shift) for k, s in self._reference.array_specs.items()}
        block.graph_specs = {k: _shifted(s, shift) for k, s in self._reference.graph_specs.items()}
        block.write_rois = self._owned_at(place)
        if following is not None:
            block.following = self._places.corner(following) - shift
        return block

    def at(self, request: BatchRequest) -> ScanBlocks:
        """The same blocks, with the seed of another request."""
        new = copy.copy(self)
        new._request = request
        return new

    def owned(self, number: int) -> dict[ArrayKey, Roi]:
        """What belongs to a block, of each array (world units)."""
        return self._owned_at(self._places.place(number))

    def _owned_at(self, place: tuple[int, ...]) -> dict[ArrayKey, Roi]:
        return {
            key: tiling.owned_at(place)
            for key, tiling in self._tilings.items()
            if key in self._reference.array_specs
        }


@dataclass(frozen=True)
class _Numbers(Sequence[int]):
    """The numbers of a box of blocks, in order; not listed."""

    axes: tuple[range, ...]
    counts: tuple[int, ...]

    def __len__(self) -> int:
        return math.prod(map(len, self.axes))

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        rest = range(len(self))[index]
        number, step = 0, 1
        for axis, count in zip(self.axes, self.counts, strict=True):
            rest, place = divmod(rest, len(axis))
            number += axis[place] * step
            step *= count
        return number


def _shifted(spec: Any, by: Coordinate) -> Any:
    new = spec.copy()
    if new.roi is not None:
        new.roi = new.roi.shift(by)
    return new


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
    """The shifts of all blocks to which something belongs that is asked for, in whole strides."""
    # The places of the reference's own end: a block owns what lies before it, from the last one's.
    sides = [
        (part.begin[axis] - rois[key].end[axis], part.end[axis] - rois[key].end[axis])
        for key, part in asked.items()
        if part.begin[axis] is not None
    ]
    if not sides:
        return None, None
    first = min(begin for begin, _ in sides) // stride + 1
    last = max(-(-end // stride) for _, end in sides)
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
