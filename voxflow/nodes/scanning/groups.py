"""Blocks that lie beside one another, handed to a worker together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Groups", "make_groups"]

_LARGEST = 32
_PER_WORKER = 8


@dataclass(frozen=True)
class Groups:
    """Runs of blocks, by number.

    Parameters
    ----------
    begin, end
        Which blocks: from this one to the one before that.
    size
        How many are in a group; fewer in the last one.

    Examples
    --------
    >>> groups = Groups(0, 10, 4)
    >>> len(groups), list(groups.numbers(2))
    (3, [8, 9])
    """

    begin: int
    end: int
    size: int

    def __len__(self) -> int:
        return -(-(self.end - self.begin) // self.size)

    def numbers(self, group: int) -> Sequence[int]:
        """The blocks of a group."""
        first = self.begin + group * self.size
        return range(first, min(first + self.size, self.end))

    def settled(
        self, done: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """For each group, whether all of its blocks are done (or to be left out)."""
        padded = np.ones(len(self) * self.size, np.uint8)
        padded[: self.end - self.begin] = done[self.begin : self.end]
        found: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
        found = padded.reshape(len(self), self.size).min(axis=1)
        return found


def make_groups(total: int, pending: int, num_workers: int, one_by_one: bool) -> Groups:
    """Groups that cost little to hand out, and leave every worker something until the end.

    Parameters
    ----------
    total
        How many blocks there are.
    pending
        How many are to be done.
    num_workers
        Among how many they are shared.
    one_by_one
        A group is a block, as where each has a time limit of its own.
    """
    size = 1 if one_by_one else min(_LARGEST, pending // (num_workers * _PER_WORKER))
    return Groups(0, total, max(1, size))
