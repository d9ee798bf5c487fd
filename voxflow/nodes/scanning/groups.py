"""Blocks that lie beside one another, handed to a worker together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.nodes.scanning.tubes import Tubes

__all__ = ["Groups", "make_groups"]

_LARGEST = 32
_PER_WORKER = 8

_AT_ONCE = 1 << 16
"""So many blocks are looked at at once."""


@dataclass(frozen=True)
class Groups:
    """Runs of blocks. Those that are handed out in turn come from one stretch for each worker.

    So a worker that is given every so manieth group goes on beside where it was, and has what
    blocks share still in memory. What a group holds does not depend on who is given it.

    Parameters
    ----------
    blocks
        The numbers of the blocks, neighbours soon after one another.
    size
        How many are in a group; fewer in the last run.
    stretches
        In how many parts the runs are divided.
    one_is_enough
        Whether a worker has done with a group when one of its blocks is done.

    Examples
    --------
    >>> groups = Groups(range(10), 2, stretches=2)
    >>> [groups.numbers(group) for group in range(len(groups))]
    [[0, 1], [4, 5], [2, 3], [6, 7], [8, 9]]
    """

    blocks: Sequence[int]
    size: int
    stretches: int = 1
    one_is_enough: bool = False

    def __len__(self) -> int:
        return -(-len(self.blocks) // self.size)

    def numbers(self, group: int) -> list[int]:
        """The blocks of a group."""
        first = int(self._runs(np.array([group]))[0]) * self.size
        return list(self.blocks[first : first + self.size])

    def settled(self, done: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """For each group, whether all of its blocks are done (or to be left out).

        Parameters
        ----------
        done
            Shape (blocks of the scan,); 1: done.
        """
        many = self.size * max(1, _AT_ONCE // self.size)
        found = []
        for first in range(0, len(self.blocks), many):
            flags = done[list(self.blocks[first : first + many])]
            missing = -len(flags) % self.size
            runs = np.pad(flags, (0, missing), constant_values=1).reshape(-1, self.size)
            found.append(runs.min(axis=1))
        settled: NDArray[np.uint8] = np.concatenate(found)[self._runs(np.arange(len(self)))]
        return settled

    def _runs(self, groups: NDArray[Any]) -> NDArray[np.int64]:
        """Which runs are some groups."""
        number, parts = len(self), self.stretches
        begins = np.arange(parts + 1) * number // parts
        turn, part = np.divmod(groups, parts)
        # Some stretches are longer by one: what is left over when all have had their turns.
        longer = np.flatnonzero(np.diff(begins) > number // parts)
        even = groups < number // parts * parts
        over = longer[np.where(even, 0, part)] if longer.size else part
        found: NDArray[np.int64] = begins[np.where(even, part, over)] + turn
        return found


def make_groups(
    counts: tuple[int, ...], pending: int, num_workers: int, one_by_one: bool
) -> Groups:
    """Groups that cost little to hand out, and leave every worker something until the end.

    Parameters
    ----------
    counts
        How many blocks there are along each axis.
    pending
        How many are to be done.
    num_workers
        Among how many they are shared.
    one_by_one
        A group is a block, as where each has a time limit of its own.
    """
    size = 1 if one_by_one else min(_LARGEST, pending // (num_workers * _PER_WORKER))
    return Groups(Tubes(counts), max(1, size), num_workers)
