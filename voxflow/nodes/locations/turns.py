"""Whose turn is it? That follows from the number of the batch."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.data.seeds import generator

if TYPE_CHECKING:
    import numpy as np

    from voxflow.pipeline.data import BatchRequest, RunPosition


class Turns:
    """Numbers requests from 0: batch i of a run has turn i, whoever serves it.

    Requests that belong to no run (they came with a seed of their own) are counted one by one.

    Parameters
    ----------
    per_batch
        How many turns a batch takes. Its parts (those of a `Stack`, the retries of `Reject`) have
        the turn of the batch and those after.

    Raises
    ------
    ValueError
        If `per_batch` is less than 1.
    """

    def __init__(self, per_batch: int = 1) -> None:
        if per_batch < 1:
            raise ValueError(f"per_batch has to be at least 1, got {per_batch}")
        self.per_batch = per_batch
        self._lock = threading.Lock()
        self._next = 0

    def of(self, request: BatchRequest) -> int:
        """The turn of a request; to be asked once, in `draw`."""
        position = request.position
        if position is not None:
            return position.index * self.per_batch + _part_of_batch(position)
        with self._lock:
            number = self._next
            self._next += not request.planning
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.per_batch,)


def _part_of_batch(position: RunPosition) -> int:
    """Which part of its batch a request is: the numbers that it was reseeded with, added up."""
    return sum(part for parts in position.path for part in parts if isinstance(part, int))


@lru_cache(maxsize=16)
def shuffled(size: int, seed: int, label: str, epoch: int) -> np.ndarray[Any, Any]:
    """The order of an epoch of so many turns; it must not be changed.

    Parameters
    ----------
    size
        How many turns there are.
    seed
        Of the run.
    label
        Whose epochs these are.
    epoch
        The number of the epoch.
    """
    return generator(seed, f"{label}, epoch {epoch}").permutation(size)
