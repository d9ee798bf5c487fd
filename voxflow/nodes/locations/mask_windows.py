"""Where on a mask does a window hold enough of it?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK = 1 << 16  # windows that are unpacked to draw one of them
_SLAB = 1 << 22  # voxels that are unpacked at once


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


class Places:
    """The windows that hold enough, one bit for each window.

    Attributes
    ----------
    possible
        How many windows there are.
    total
        How many of them hold enough.
    best
        The largest fraction in any window.
    """

    def __init__(self, enough: np.ndarray[Any, Any], best: float) -> None:
        flat = enough.ravel()
        counts = [np.count_nonzero(flat[i : i + _CHUNK]) for i in range(0, flat.size, _CHUNK)]
        self._shape = enough.shape
        self._bits = np.packbits(flat)
        self._ends = np.cumsum(counts)
        self.possible = flat.size
        self.total = int(self._ends[-1]) if counts else 0
        self.best = best

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """One of the windows that hold enough, all alike: its number along each axis."""
        number = int(rng.integers(self.total))
        chunk = int(np.searchsorted(self._ends, number, side="right"))
        before = int(self._ends[chunk - 1]) if chunk else 0
        bits = np.unpackbits(self._bits[chunk * _CHUNK // 8 : (chunk + 1) * _CHUNK // 8])
        flat = chunk * _CHUNK + int(np.flatnonzero(bits)[number - before])
        return tuple(int(i) for i in np.unravel_index(flat, self._shape))

    def holds(self, index: Sequence[int]) -> bool:
        """Whether a window holds enough."""
        flat = int(np.ravel_multi_index(tuple(index), self._shape))
        return bool(self._bits[flat // 8] >> (7 - flat % 8) & 1)


class MaskWindows:
    """A mask, kept at one bit a voxel, and how much of it windows hold.

    Parameters
    ----------
    mask
        Booleans, any number of dimensions.

    Examples
    --------
    >>> mask = MaskWindows(np.array([0, 0, 1, 1, 1, 0], bool))
    >>> places = mask.places(Windows((0,), (3,), (1,), (4,)), 0.6)
    >>> places.total, places.possible, places.best
    (3, 4, 1.0)
    """

    def __init__(self, mask: np.ndarray[Any, Any]) -> None:
        self.shape = mask.shape
        self._bits = np.packbits(mask, axis=-1)

    def places(self, windows: Windows, least: float) -> Places:
        """The windows of which at least a fraction `least` is masked.

        Parameters
        ----------
        windows
            All of them inside the mask, none empty.
        least
            In [0, 1].
        """
        size = prod(windows.shape)
        needed = _least_count(least, size)
        enough = np.empty(windows.count, np.bool_)
        best = 0
        for number, counts in enumerate(self._counts(windows)):
            np.greater_equal(counts, needed, out=enough[number, ...])
            best = max(best, int(counts.max()))
        return Places(enough, best / size)

    def _counts(self, windows: Windows) -> Iterator[np.ndarray[Any, Any]]:
        """How many voxels are masked in each window, plane after plane along the first axis.

        The planes are one array that changes.
        """
        length, stride = windows.shape[0], windows.stride[0]
        held: deque[np.ndarray[Any, Any]] = deque()
        counts = np.zeros(windows.count[1:], np.min_scalar_type(prod(windows.shape)))
        for number, plane in enumerate(self._planes(windows)):
            counts += plane
            held.append(plane)
            if len(held) > length:
                counts -= held.popleft()
            start = number + 1 - length
            if start >= 0 and start % stride == 0:
                yield counts

    def _planes(self, windows: Windows) -> Iterator[np.ndarray[Any, Any]]:
        """Each plane across the first axis: how much is masked in the windows' parts of it."""
        first, end = _extent(windows, 0)
        # The last axis is packed: for a mask of one axis it is the first as well.
        rows = np.unpackbits(self._bits, count=end) if len(self.shape) == 1 else self._bits
        at_once = max(1, _SLAB // max(prod(self.shape[1:]), 1))
        for start in range(first, end, at_once):
            part = rows[start : min(start + at_once, end)]
            if len(self.shape) > 1:
                part = np.unpackbits(part, axis=-1, count=self.shape[-1])
            for axis in range(len(self.shape) - 1, 0, -1):
                begin, stop = _extent(windows, axis)
                part = part[(slice(None),) * axis + (slice(begin, stop),)]
                most = prod(windows.shape[axis:])
                part = _moving_sum(part, axis, windows.shape[axis], windows.stride[axis], most)
            yield from part


def _extent(windows: Windows, axis: int) -> tuple[int, int]:
    """Where along an axis the first window begins and the last one ends."""
    first, stride = windows.first[axis], windows.stride[axis]
    return first, first + (windows.count[axis] - 1) * stride + windows.shape[axis]


def _moving_sum(
    part: np.ndarray[Any, Any], axis: int, length: int, stride: int, most: int
) -> np.ndarray[Any, Any]:
    """Sums of `length` entries along an axis, one every `stride` entries, none above `most`.

    Unsigned sums may run over in between: their differences are right all the same.
    """
    dtype = np.min_scalar_type(most)
    if axis == part.ndim - 1:
        running = np.zeros((*part.shape[:-1], part.shape[-1] + 1), dtype)
        np.cumsum(part, axis=-1, dtype=dtype, out=running[..., 1:])
        ends, begins = running[..., length::stride], running[..., : part.shape[-1] - length + 1]
        difference: np.ndarray[Any, Any] = ends - begins[..., ::stride]
        return difference
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


def _least_count(least: float, size: int) -> int:
    """The smallest count with ``count / size >= least``, in floating point as it is written."""
    count = min(ceil(least * size), size)
    while count > 0 and (count - 1) / size >= least:
        count -= 1
    return count if count / size >= least else count + 1
