"""A grid cut into cells, and which of its entries are set, kept cell by cell."""

from __future__ import annotations

import zlib
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_CELL = 1 << 15  # entries in a cell, about
_BUDGET = 1 << 26  # bytes that are kept

Box = tuple[tuple[int, int], ...]
"""Begin and end along each axis."""


def slices(box: Box) -> tuple[slice, ...]:
    """A box as an index."""
    return tuple(slice(begin, end) for begin, end in box)


class Cells:
    """A grid cut into cubes, those at the ends smaller.

    Parameters
    ----------
    shape
        How many entries there are along each axis.
    size
        How many entries a cell has, about.

    Attributes
    ----------
    edge
        How many entries a cell has along each axis.
    grid
        How many cells there are along each axis.

    Examples
    --------
    >>> cells = Cells((10, 7), size=16)
    >>> cells.edge, cells.grid, cells.box(5)
    (4, (3, 2), ((8, 10), (4, 7)))
    """

    def __init__(self, shape: Sequence[int], size: int = _CELL) -> None:
        self.shape = tuple(shape)
        self.edge = max(1, round(size ** (1 / max(len(self.shape), 1))))
        self.grid = tuple(-(-n // self.edge) for n in self.shape)
        self.number = prod(self.grid)

    def box(self, cell: int) -> Box:
        """Where a cell lies."""
        index = np.unravel_index(cell, self.grid)
        return tuple(
            (int(i) * self.edge, min((int(i) + 1) * self.edge, n))
            for i, n in zip(index, self.shape, strict=True)
        )

    def around(self, box: Box) -> tuple[slice, ...]:
        """The cells that a box touches, as an index of the grid."""
        return tuple(slice(begin // self.edge, -(-end // self.edge)) for begin, end in box)

    def under(self, box: Box) -> Iterator[int]:
        """The numbers of the cells that a box touches."""
        for index in product(*(range(cut.start, cut.stop) for cut in self.around(box))):
            yield int(np.ravel_multi_index(index, self.grid))

    def boxes(self, most: int, whole: int = 0) -> Iterator[Box]:
        """Boxes of whole cells that cover the grid.

        Parameters
        ----------
        most
            How many entries a box has at most, if that is not less than a cell.
        whole
            Along so many of the first axes boxes are not cut, and they do not count.
        """
        sides = [self.edge] * len(self.shape)
        for axis in reversed(range(whole, len(sides))):
            rest = most // (prod(sides[whole:]) // sides[axis])
            if rest < self.shape[axis]:
                sides[axis] = max(1, rest // self.edge) * self.edge
            else:
                sides[axis] = self.grid[axis] * self.edge
        sides[:whole] = [n * self.edge for n in self.grid[:whole]]
        ranges = (range(0, n, side) for n, side in zip(self.shape, sides, strict=True))
        for begin in product(*ranges):
            yield tuple(
                (b, min(b + side, n)) for b, side, n in zip(begin, sides, self.shape, strict=True)
            )


class BitGrid:
    """Which entries of a grid are set: a bit each or less where a cell is mixed, else nothing.

    Parameters
    ----------
    shape
        Of the grid.
    make
        Gives the booleans of a box. Cells for which there is no room are made anew each time.

    Attributes
    ----------
    counts
        How many entries are set in each cell; -1 where nothing was taken down.

    Examples
    --------
    >>> odd = np.arange(10) % 2 > 0
    >>> grid = BitGrid(odd.shape, lambda box: odd[slices(box)])
    >>> grid.keep(((0, 10),), odd)
    >>> grid.read(((2, 5),))
    array([False,  True, False])
    """

    def __init__(
        self,
        shape: Sequence[int],
        make: Callable[[Box], np.ndarray[Any, Any]],
    ) -> None:
        self.cells = Cells(shape)
        self._make = make
        self.counts = np.full(self.cells.number, -1)
        self._bits: dict[int, bytes] = {}
        self._left = _BUDGET

    @property
    def shape(self) -> tuple[int, ...]:
        """How many entries there are along each axis."""
        return self.cells.shape

    def keep(self, box: Box, values: np.ndarray[Any, Any]) -> None:
        """Take down the booleans of a box of whole cells."""
        for cell in self.cells.under(box):
            part = values[within(self.cells.box(cell), box)]
            count = self.counts[cell] = np.count_nonzero(part)
            if 0 < count < part.size and self._left >= part.size // 8 + 100:
                self._bits[cell] = zlib.compress(np.packbits(part).tobytes(), 1)
                self._left -= len(self._bits[cell])

    def is_empty(self, box: Box) -> bool:
        """Whether it is known that nothing in a box is set."""
        return not self.counts.reshape(self.cells.grid)[self.cells.around(box)].any()

    def cell(self, number: int) -> np.ndarray[Any, Any]:
        """The booleans of a cell."""
        box = self.cells.box(number)
        shape = tuple(end - begin for begin, end in box)
        if (alike := self._alike(number, prod(shape))) is not None:
            return np.full(shape, alike)
        bits = self._bits.get(number)
        if bits is None:
            return self._make(box)
        packed = np.frombuffer(zlib.decompress(bits), np.uint8)
        return np.unpackbits(packed, count=prod(shape)).reshape(shape).view(np.bool_)

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        """The booleans of a box."""
        found = np.empty([end - begin for begin, end in box], np.bool_)
        for common, part in self._parts(box):
            found[within(common, box)] = part
        return found

    def count(self, box: Box) -> int:
        """How many entries of a box are set."""
        return sum(
            prod(end - begin for begin, end in common) * part
            if isinstance(part, bool)
            else int(np.count_nonzero(part))
            for common, part in self._parts(box)
        )

    def _parts(self, box: Box) -> Iterator[tuple[Box, np.ndarray[Any, Any] | bool]]:
        """What a box has in common with each cell, and its booleans; one if all are alike."""
        for number in self.cells.under(box):
            there = self.cells.box(number)
            common = tuple(
                (max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, there, strict=True)
            )
            alike = self._alike(number, prod(end - begin for begin, end in there))
            yield common, self.cell(number)[within(common, there)] if alike is None else alike

    def holds(self, index: Sequence[int]) -> bool:
        """Whether an entry is set."""
        cell = int(np.ravel_multi_index([i // self.cells.edge for i in index], self.cells.grid))
        return bool(self.cell(cell)[tuple(i % self.cells.edge for i in index)])

    def _alike(self, cell: int, size: int) -> bool | None:
        """What all entries of a cell are; None if they differ, or are not known."""
        count = self.counts[cell]
        return bool(count) if count in (0, size) else None


def within(box: Box, outer: Box) -> tuple[slice, ...]:
    """A box as an index of one that contains it."""
    return tuple(slice(a - o, b - o) for (a, b), (o, _) in zip(box, outer, strict=True))
