"""Tilings: the blocks that a region is read, predicted or written in.

Both kinds cover their region without a gap and never step out of it::

    Tiling(Roi((0,), (100,)), (30,))      0--30  30--60  60--90
      tiles of one size; the last one                       70--100     (70-90 twice)
      is moved back inside

    grid(Roi((0,), (100,)), (30,), (-10,))
      blocks between the lines of a grid  0-20  20--50  50--80  80--100
      through the origin, cut off at the region

Where tiles overlap, a place belongs to the first tile that covers it. What belongs to a tile is
its ``owned`` part: these are boxes too, lie beside one another and fill the region, so that who
writes only them writes nothing twice.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import sub
from typing import Any, overload

from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, exact
from voxflow.pipeline.geometry.roi import Roi

__all__ = ["Tiling", "grid", "starts"]


@dataclass(frozen=True, slots=True)
class _Axis:
    """The tiles along one dimension, by number; nothing is listed."""

    low: Exact
    high: Exact
    anchor: Exact  # where tile 0 begins, before it is cut off or moved back
    size: Exact
    stride: Exact
    cut: bool  # whether a tile that steps out is cut off, not moved back
    numbers: range

    def begin(self, i: int) -> Exact:
        begin = self.anchor + i * self.stride
        return max(begin, self.low) if self.cut else min(begin, self.high - self.size)

    def end(self, i: int) -> Exact:
        return min(self.anchor + i * self.stride + self.size, self.high)

    def owned_begin(self, i: int) -> Exact:
        """Give where the tiles before this one end."""
        return self.begin(i) if i == 0 else self.end(i - 1)

    def within(self, begin: Exact, end: Exact) -> _Axis:
        """Keep the tiles that own something between ``begin`` and ``end``."""
        first = bisect_right(self.numbers, begin, key=self.end)
        last = bisect_left(self.numbers, end, key=self.owned_begin)
        return replace(self, numbers=self.numbers[first : max(first, last)])


def _scan_axis(low: Exact, high: Exact, size: Exact, stride: Exact) -> _Axis:
    steps = -((low + size - high) // stride)  # rounded up
    return _Axis(low, high, low, size, stride, False, range(steps + 1 if low < high else 0))


def _grid_axis(low: Exact, high: Exact, size: Exact, origin: Exact) -> _Axis:
    anchor = origin + (low - origin) // size * size
    count = -((anchor - high) // size) if low < high else 0
    return _Axis(low, high, anchor, size, size, True, range(count))


class Tiling(Sequence[Roi]):
    """Tiles of one size that cover a region and stay inside it.

    They step by ``stride`` from the lower corner; the last one of each dimension is moved back
    to end with the region, and overlaps the one before. The first dimension varies fastest.
    Tiles are made when asked for, so that a tiling of millions of tiles takes no memory.

    Parameters
    ----------
    region
        What to cover, in world units; an empty region has no tiles.
    shape
        The size of a tile: an iterable, or a number for all dimensions.
    stride
        How far a tile lies from the next, by default ``shape``; at most that, lest gaps remain.

    Attributes
    ----------
    region
        What is covered.
    counts
        The number of tiles along each dimension.

    Raises
    ------
    ValueError
        If the region is unbounded or smaller than a tile, or a size or stride does not fit.

    Examples
    --------
    >>> tiling = Tiling(Roi((0,), (100,)), (30,))
    >>> len(tiling), tiling[-1], tiling.owned(-1)
    (4, [70:100] (30), [90:100] (10))
    """

    __slots__ = ("_axes", "_total", "counts", "region")

    counts: tuple[int, ...]

    def __init__(self, region: Any, shape: Any, stride: Any = None) -> None:
        area = _bounded(region)
        size = _per_dimension("tile shape", shape, area)
        step = size if stride is None else _per_dimension("stride", stride, area)
        if any(a > b for a, b in zip(step, size, strict=True)):
            raise ValueError(f"a stride of {step!r} leaves gaps between tiles of {size!r}")
        if not area.empty and any(a > b for a, b in zip(size, area.shape, strict=True)):
            raise ValueError(
                f"a tile of {size!r} does not fit into {area!r}: "
                f"use smaller tiles or a larger region"
            )
        sides = zip(area.begin, area.end, size, step, strict=True)
        self._lay(area, (_scan_axis(*side) for side in sides))

    def _lay(self, region: Roi, axes: Iterable[_Axis]) -> None:
        self.region, self._axes = region, tuple(axes)
        self.counts = tuple(len(axis.numbers) for axis in self._axes)
        self._total = math.prod(self.counts)

    @property
    def axis_numbers(self) -> tuple[range, ...]:
        """Along each dimension, which tiles of the whole tiling these are; see ``within``."""
        return tuple(axis.numbers for axis in self._axes)

    def __len__(self) -> int:
        return self._total

    @overload
    def __getitem__(self, index: int) -> Roi: ...
    @overload
    def __getitem__(self, index: slice) -> list[Roi]: ...
    def __getitem__(self, index: int | slice) -> Roi | list[Roi]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        place = self.place(index)
        return self._box(self.corner_at(place), place)

    def corner(self, index: int) -> Coordinate:
        """Give where a tile begins."""
        return self.corner_at(self.place(index))

    def owned(self, index: int) -> Roi:
        """Give the part of a tile that no earlier tile of the whole tiling covers."""
        return self.owned_at(self.place(index))

    def place(self, index: int) -> tuple[int, ...]:
        """Split a tile's number into one per dimension, as counted in the whole tiling."""
        rest = range(self._total)[index]  # checks it, and counts negative ones from the end
        place = []
        for axis, count in zip(self._axes, self.counts, strict=True):
            rest, number = divmod(rest, count)
            place.append(axis.numbers[number])
        return tuple(place)

    def corner_at(self, place: tuple[int, ...]) -> Coordinate:
        """As `corner`, of what `place` says."""
        return Coordinate(*[axis.begin(i) for axis, i in zip(self._axes, place, strict=True)])

    def owned_at(self, place: tuple[int, ...]) -> Roi:
        """As `owned`, of what `place` says; so tilings of the same steps share it."""
        begins = [axis.owned_begin(i) for axis, i in zip(self._axes, place, strict=True)]
        return self._box(Coordinate(*begins), place)

    def __iter__(self) -> Iterator[Roi]:
        return (self[index] for index in range(len(self)))

    def pairs(self) -> Iterator[tuple[Roi, Roi]]:
        """Go through the tiles, each with its owned part."""
        return ((self[index], self.owned(index)) for index in range(len(self)))

    def within(self, region: Any) -> Tiling:
        """Keep the tiles that own a part of ``region``; they cover all of it that is tiled.

        Tiles keep their places and their owned parts, so that each place comes from the same
        tile whatever is asked for.

        >>> list(Tiling(Roi((0,), (100,)), (30,)).within(Roi((65,), (20,))))
        [[60:90] (30)]
        """
        part = _bounded(region)
        if part.dims != self.region.dims:
            raise ValueError(f"{part!r} and the tiled {self.region!r} differ in dimensions")
        kept = Tiling.__new__(Tiling)
        sides = zip(self._axes, part.begin, part.end, strict=True)
        kept._lay(
            self.region,
            (
                replace(axis, numbers=range(0)) if part.empty else axis.within(begin, end)
                for axis, begin, end in sides
            ),
        )
        return kept

    def _box(self, begin: Coordinate, place: tuple[int, ...]) -> Roi:
        end = [axis.end(i) for axis, i in zip(self._axes, place, strict=True)]
        return Roi(begin, tuple(map(sub, end, begin)))

    def __repr__(self) -> str:
        return f"Tiling of {self.region!r}: {' x '.join(map(str, self.counts))} tiles"


def grid(region: Any, block_shape: Any, origin: Any = 0) -> Tiling:
    """Cut a region along the lines of a grid through ``origin``.

    The lines do not depend on the region, so that blocks of overlapping regions agree. Blocks
    at the faces are cut off there. Every block owns all of itself.

    Parameters
    ----------
    region
        What to cover, in world units; an empty region has no blocks.
    block_shape, origin
        Iterables, or numbers for all dimensions.

    Raises
    ------
    ValueError
        If the region is unbounded, or a block shape or origin does not fit.

    Examples
    --------
    >>> list(grid(Roi((5,), (20,)), (10,)))
    [[5:10] (5), [10:20] (10), [20:25] (5)]
    """
    tiling = Tiling.__new__(Tiling)
    area = _bounded(region)
    size = _per_dimension("block shape", block_shape, area)
    anchor = _entries("origin", origin, area)
    sides = zip(area.begin, area.end, size, anchor, strict=True)
    tiling._lay(area, (_grid_axis(*side) for side in sides))
    return tiling


def starts(begin: Any, end: Any, size: Any, stride: Any = None) -> list[Exact]:
    """Give where the tiles of one dimension begin; see ``Tiling``.

    >>> starts(0, 100, 30)
    [0, 30, 60, 70]
    """
    low = exact(begin)
    span = Roi((low,), (exact(end) - low,))
    return [tile.begin[0] for tile in Tiling(span, (size,), None if stride is None else (stride,))]


def _bounded(region: Any) -> Roi:
    """Read a region that is to be tiled; an empty one is given a place."""
    roi = Roi.like(region)
    if roi.unbounded:
        raise ValueError(f"tiles of {roi!r} have no end: bound it in every dimension first")
    return Roi((0,) * roi.dims, (0,) * roi.dims) if roi.empty else roi


def _entries(what: str, value: Any, region: Roi) -> Coordinate:
    entries = Coordinate(value if hasattr(value, "__iter__") else (value,) * region.dims)
    if len(entries) != region.dims or None in entries:
        raise ValueError(
            f"the {what} needs a number for each of {region.dims} dimensions, got {entries!r}"
        )
    return entries


def _per_dimension(what: str, value: Any, region: Roi) -> Coordinate:
    sizes = _entries(what, value, region)
    if any(size <= 0 for size in sizes):
        raise ValueError(f"the {what} is positive in every dimension, got {sizes!r}")
    return sizes
