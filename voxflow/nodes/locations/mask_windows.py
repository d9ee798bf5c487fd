"""Where on a mask does a window hold enough of it?

A mask may be larger than memory. What is kept of it, and of the windows that hold enough, is a bit
each where cells are mixed, up to a limit, and a count for each cell of windows. A window is drawn
by way of its cell: how many of the cell's windows hold enough is its weight, and which they are is
looked up, or found anew, in the cell alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from voxflow.nodes.locations.cells import BitGrid, slices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.nodes.locations.cells import Box

_SLAB = 1 << 22  # voxels that are unpacked at once
_QUICK = 1 << 28  # places that need no bar
_HELD = 1 << 25  # bytes of sums that are held while they move along the first axis


@dataclass(frozen=True, slots=True)
class Windows:
    """Equal windows on a grid, in voxels of the mask: one entry for each axis.

    Attributes
    ----------
    first
        Where the first window begins.
    shape
        How large each is.
    stride
        How far apart they are.
    count
        How many there are.
    """

    first: tuple[int, ...]
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    count: tuple[int, ...]

    def part(self, box: Box) -> Windows:
        """Those of a box of their numbers."""
        first = (
            f + begin * s for f, s, (begin, _) in zip(self.first, self.stride, box, strict=True)
        )
        count = (end - begin for begin, end in box)
        return Windows(tuple(first), self.shape, self.stride, tuple(count))

    @property
    def size(self) -> int:
        """How many voxels each window has."""
        return prod(self.shape)

    @property
    def box(self) -> Box:
        """From where the first begins to where the last ends."""
        axes = zip(self.first, self.shape, self.stride, self.count, strict=True)
        return tuple((f, f + (n - 1) * t + s) for f, s, t, n in axes)


@dataclass(frozen=True, slots=True)
class Need:
    """What windows have to hold.

    Attributes
    ----------
    mask
        Which voxels count.
    windows
        All of them inside the mask, none empty.
    least
        The fraction of their voxels that has to count, in [0, 1].
    """

    mask: BitGrid
    windows: Windows
    least: float


class Places:
    """The windows that hold enough.

    Parameters
    ----------
    needs
        All of which have to be fulfilled, each for as many windows; at least one.

    Attributes
    ----------
    possible
        How many windows there are.
    total
        How many of them hold enough of everything.
    enough
        How many hold enough, for each need alone.
    best
        The largest fraction in any window, for each need.

    Examples
    --------
    >>> mask = masked(np.array([0, 0, 1, 1, 1, 0], bool))
    >>> places = Places([Need(mask, Windows((0,), (3,), (1,), (4,)), 0.6)])
    >>> places.total, places.possible, places.best
    (3, 4, [1.0])
    """

    def __init__(self, needs: Sequence[Need]) -> None:
        self._needs = list(needs)
        self._grid = BitGrid(needs[0].windows.count, self._made)
        cells = self._grid.cells
        self.enough, self.best = [0] * len(needs), [0.0] * len(needs)
        tiles = list(cells.boxes(_tile_size(needs), whole=1))
        quick = prod(cells.shape) < _QUICK
        for tile in tqdm(tiles, "counting places", unit="tile", leave=False, disable=quick):
            for box, enough in self._layers(tile):
                self._grid.keep(box, enough)
        self._ends = np.cumsum(self._grid.counts)
        self.possible = prod(cells.shape)
        self.total = int(self._ends[-1])

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """One of the windows that hold enough, all alike: its number along each axis."""
        number = int(rng.integers(self.total))
        cell = int(np.searchsorted(self._ends, number, side="right"))
        before = int(self._ends[cell - 1]) if cell else 0
        held = self._grid.cell(cell)
        index = np.unravel_index(np.flatnonzero(held)[number - before], held.shape)
        begin = (begin for begin, _ in self._grid.cells.box(cell))
        return tuple(int(i) + b for i, b in zip(index, begin, strict=True))

    def holds(self, index: Sequence[int]) -> bool:
        """Whether a window holds enough."""
        return self._grid.holds(index)

    def _made(self, box: Box) -> np.ndarray[Any, Any]:
        """Which windows of a box hold enough of everything, found anew."""
        streams = [_enough(need, need.windows.part(box), _rows(box)) for need in self._needs]
        together: np.ndarray[Any, Any] = np.logical_and.reduce([next(s)[0] for s in streams])
        return together

    def _layers(self, tile: Box) -> Iterator[tuple[Box, np.ndarray[Any, Any]]]:
        """Which windows hold enough of everything, a cell at a time along the first axis."""
        edge = self._grid.cells.edge
        streams = [_enough(need, need.windows.part(tile), edge) for need in self._needs]
        for begin, layers in zip(range(*tile[0], edge), zip(*streams, strict=True), strict=True):
            for i, (enough, best) in enumerate(layers):
                self.enough[i] += int(np.count_nonzero(enough))
                self.best[i] = max(self.best[i], best)
            together = layers[0][0]
            for enough, _ in layers[1:]:
                together &= enough
            yield ((begin, begin + len(together)), *tile[1:]), together


def masked(values: np.ndarray[Any, Any]) -> BitGrid:
    """A mask that is in memory."""
    grid = BitGrid(values.shape, lambda box: values[slices(box)])
    for box in grid.cells.boxes(values.size):
        grid.keep(box, values[slices(box)])
    return grid


def _rows(box: Box) -> int:
    return box[0][1] - box[0][0]


def _tile_size(needs: Sequence[Need]) -> int:
    """Across how many windows sums may move along the first axis, not to take too much memory."""
    held = sum(n.windows.shape[0] * _counter(prod(n.windows.shape[1:])).itemsize for n in needs)
    return max(1, _HELD // held)


def _counter(most: int) -> np.dtype[Any]:
    """The smallest type that counts so far."""
    return np.min_scalar_type(most)


def _enough(
    need: Need, windows: Windows, rows: int
) -> Iterator[tuple[np.ndarray[Any, Any], float]]:
    """Which windows hold enough, so many rows of them at a time, and the largest fraction."""
    size = windows.size
    needed, last = least_count(need.least, size), windows.count[0]
    counts = _counts(need.mask, windows) if len(windows.count) > 1 else None
    for begin in range(0, last, rows):
        box = ((begin, min(begin + rows, last)),)
        if counts is None:
            sums = _sums(need.mask, windows.part(box))
            yield sums >= needed, int(sums.max()) / size
            continue
        enough, best = np.empty((_rows(box), *windows.count[1:]), np.bool_), 0
        for row in enough:
            count = next(counts)
            if count is None:
                row[...] = needed == 0
            else:
                np.greater_equal(count, needed, out=row)
                best = max(best, int(count.max()))
        yield enough, best / size


def _counts(mask: BitGrid, windows: Windows) -> Iterator[np.ndarray[Any, Any] | None]:
    """How many voxels count in each window, plane after plane along the first axis.

    The planes are one array that changes. None: nothing in any of them.
    """
    length, stride = windows.shape[0], windows.stride[0]
    held: deque[np.ndarray[Any, Any] | None] = deque()
    counts = np.zeros(windows.count[1:], _counter(prod(windows.shape)))
    filled = 0
    for number, plane in enumerate(_planes(mask, windows)):
        held.append(plane)
        if plane is not None:
            counts += plane
            filled += 1
        if len(held) > length and (gone := held.popleft()) is not None:
            counts -= gone
            filled -= 1
        start = number + 1 - length
        if start >= 0 and start % stride == 0:
            yield counts if filled else None


def _planes(mask: BitGrid, windows: Windows) -> Iterator[np.ndarray[Any, Any] | None]:
    """Each plane across the first axis: how much of it counts in the windows' parts of it."""
    (first, end), *across = windows.box
    at_once = max(1, _SLAB // prod(b - a for a, b in across))
    for start in range(first, end, at_once):
        box = ((start, min(start + at_once, end)), *across)
        if mask.is_empty(box):
            yield from [None] * _rows(box)
            continue
        part = mask.read(box)
        for axis in range(part.ndim - 1, 0, -1):
            most = prod(windows.shape[axis:])
            part = _moving_sum(part, axis, windows.shape[axis], windows.stride[axis], most)
        yield from part


def _sums(mask: BitGrid, windows: Windows) -> np.ndarray[Any, Any]:
    """How many voxels count in each window, along a single axis."""
    length, stride = windows.shape[0], windows.stride[0]
    return _moving_sum(mask.read(windows.box), 0, length, stride, length)


def _moving_sum(
    part: np.ndarray[Any, Any], axis: int, length: int, stride: int, most: int
) -> np.ndarray[Any, Any]:
    """Sums of `length` entries along an axis, one every `stride` entries, none above `most`.

    Unsigned sums may run over in between: their differences are right all the same.
    """
    dtype = np.min_scalar_type(most)
    if axis == part.ndim - 1:
        return _sums_along_rows(part.astype(dtype), length)[..., ::stride]
    # Whole rows at a time: numpy would walk along the axis, from cache line to cache line.
    part = np.moveaxis(part, axis, 0)
    row = part[:length].sum(axis=0, dtype=dtype)
    sums = np.empty(((len(part) - length) // stride + 1, *row.shape), dtype)
    sums[0] = row
    for start in range(1, len(part) - length + 1):
        row += part[start + length - 1]
        row -= part[start - 1]
        if start % stride == 0:
            sums[start // stride] = row
    return np.moveaxis(sums, 0, axis)


def _sums_along_rows(sums: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """Sums of `length` entries along the last axis, of sums of 1, 2, 4, 8... entries.

    That is several times as fast as differences of a running sum, which is one addition after
    the other.
    """
    number, begin, size = sums.shape[-1] - length + 1, 0, 1
    total = np.zeros((*sums.shape[:-1], number), sums.dtype)
    while True:
        if length & size:
            total += sums[..., begin : begin + number]
            begin += size
        if begin == length:
            return total
        sums = sums[..., :-size] + sums[..., size:]
        size *= 2


def least_count(least: float, size: int) -> int:
    """The smallest count with ``count / size >= least``, in floating point as it is written."""
    count = min(ceil(least * size), size)
    while count > 0 and (count - 1) / size >= least:
        count -= 1
    return count if count / size >= least else count + 1
