"""An order of blocks in which neighbours come soon after one another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tubes"]

_AT_ONCE = 4096
"""So many numbers are computed at once."""


@dataclass(frozen=True)
class Tubes(Sequence[int]):
    """The numbers of all blocks, tube by tube, and in a tube slice by slice.

    A tube is a few blocks wide along all axes but the first, which it follows from end to end. So
    what blocks share of their context need not be kept for a whole plane of them. Nothing is
    listed.

    Parameters
    ----------
    counts
        How many blocks there are along each axis; the first varies fastest in the numbers.
    side
        How many blocks a tube is wide.

    Examples
    --------
    >>> list(Tubes((2, 3), side=2))
    [0, 2, 1, 3, 4, 5]
    """

    counts: tuple[int, ...]
    side: int = 6

    def __len__(self) -> int:
        return math.prod(self.counts)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> list[int]: ...
    def __getitem__(self, index: int | slice) -> int | list[int]:
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return int(self.numbers(np.array([chosen]))[0])
        found: list[int] = self.numbers(np.asarray(chosen, np.int64)).tolist()
        return found

    def __iter__(self) -> Iterator[int]:
        for first in range(0, len(self), _AT_ONCE):
            yield from self[first : first + _AT_ONCE]

    def numbers(self, places: NDArray[Any]) -> NDArray[np.int64]:
        """The numbers of the blocks at some places of the order.

        Parameters
        ----------
        places
            Whole numbers from 0 to less than the length.
        """
        first, *others = self.counts
        rest, left = places.astype(np.int64), math.prod(others)
        # How many blocks a slice has so far, and along each axis the first block and how many.
        width: Any = 1
        spans = []
        for count in reversed(others):
            left //= count
            low = rest // (first * width * self.side * left) * self.side
            rest = rest - first * width * low * left
            wide = np.minimum(self.side, count - low)
            spans.append((low, wide))
            width = width * wide
        number, rest = np.divmod(rest, width)
        step = first
        # The axis after the first was looked at last, and varies fastest.
        for (low, wide), count in zip(reversed(spans), others, strict=True):
            rest, place = np.divmod(rest, wide)
            number = number + (low + place) * step
            step *= count
        return number
