"""Decoded chunks of one dataset, each in a cell of shared memory."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arena import PAGE, Arena

__all__ = ["Cells"]

_WINDOW = 4096  # marks that are looked at together
_ROOM = 4  # cells for so many times the budget: chunks that share a cell are rare then


class Cells:
    """A table of chunks: the chunk with number ``n`` is in cell ``n % count``, or nowhere.

    Every process that the dataset is sent to sees the same cells. A cell is written by one of them
    at a time, while nobody reads; it is marked when it is complete. A process that dies in between
    leaves a cell without a mark.

    Parameters
    ----------
    arena
        Where the cells lie.
    total
        How many chunks the dataset has.
    shape
        The shape of a chunk.
    dtype
        The type of a voxel.
    """

    def __init__(
        self, arena: Arena, total: int, shape: Sequence[int], dtype: np.dtype[Any]
    ) -> None:
        self.arena = arena
        self.shape = tuple(shape)
        self.dtype = dtype
        self.nbytes = -(-math.prod(shape) * dtype.itemsize // PAGE) * PAGE
        self.count = max(1, min(total, _ROOM * arena.budget // self.nbytes + 1))
        self._place = arena.allocate(16 * self.count), arena.allocate(self.nbytes * self.count)
        self._setup()

    def _setup(self) -> None:
        self._table = self.arena.map(self._place[0], 16 * self.count)
        # Number of the chunk, plus one; and whether it was read since somebody looked.
        marks, touched = self._table.bytes.view(np.int64).reshape(2, self.count)
        self.marks: NDArray[np.int64] = marks
        self._touched: NDArray[np.int64] = touched
        self._cells = self.arena.map(self._place[1], self.nbytes * self.count)
        self._hand = 0
        self._nobody()
        self.arena.join(self)
        _all.add(self)

    def _nobody(self) -> None:
        # What threads of this process do; locks of a file only tell processes apart. After a fork
        # they are not here any more.
        self._threads = threading.Condition()
        self._readers = 0
        self._fetching: set[int] = set()
        self._writing: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        names = ("arena", "shape", "dtype", "nbytes", "count", "_place")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._setup()

    @property
    def bytes(self) -> NDArray[np.uint8]:
        """All cells, one after the other."""
        return self._cells.bytes

    def cell(self, slot: int) -> NDArray[Any]:
        """The chunk in a cell."""
        size = math.prod(self.shape) * self.dtype.itemsize
        raw = self.bytes[slot * self.nbytes : slot * self.nbytes + size]
        return raw.view(self.dtype).reshape(self.shape)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Nobody changes a cell in the meantime."""
        with self._threads:
            while self._writing:
                self._threads.wait()
            if not self._readers:
                self.arena.lock(self._place[1], self.count, shared=True)
            self._readers += 1
        try:
            yield
        finally:
            with self._threads:
                self._readers -= 1
                if not self._readers:
                    self.arena.unlock(self._place[1], self.count)
                self._threads.notify_all()

    def touch(self, slots: NDArray[np.int64]) -> None:
        """Say that chunks were read, so that they are not the next to go."""
        self._touched[slots] = 1

    @contextlib.contextmanager
    def filling(self, number: int) -> Iterator[bool]:
        """Hold off everybody else who wants to fetch this chunk.

        Whether it has to be fetched: somebody else may just have done it.
        """
        slot = number % self.count
        # Bytes of the table stand for who fetches, bytes of the cells for who reads and writes.
        with self._alone_in(self._fetching, slot), self.arena.locked(self._place[0] + slot):
            yield int(self.marks[slot]) != number + 1

    def put(self, number: int, chunk: NDArray[Any], where: tuple[slice, ...]) -> None:
        """Write a chunk into its cell; one that is cut off at the end of the data to its part."""
        slot = number % self.count
        with self._alone_in(self._writing, slot), self.arena.locked(self._place[1] + slot):
            new = not self.marks[slot]
            self.marks[slot] = 0
            if chunk.shape == self.shape and chunk.dtype == self.dtype and chunk.flags.c_contiguous:
                self._cells.fill(slot * self.nbytes, chunk)
            else:
                self.cell(slot)[where] = chunk
            self._touched[slot] = 0  # what is read but once goes first
            self.marks[slot] = number + 1
        if new:
            self.arena.account(self.nbytes)
            self.arena.keep_to_budget()

    @contextlib.contextmanager
    def _alone_in(self, those: set[int], slot: int) -> Iterator[None]:
        """Be the only thread of this process that fetches, or writes (and nobody reads)."""
        writing = those is self._writing
        with self._threads:
            while slot in those or (writing and self._readers):
                self._threads.wait()
            those.add(slot)
        try:
            yield
        finally:
            with self._threads:
                those.discard(slot)
                self._threads.notify_all()

    # -- giving memory back -----------------------------------------------------------------------

    def evict(self) -> int:
        """Give up a chunk that was not read since the last round; see `Evictable`."""
        passed = 0
        while passed < 2 * self.count:
            window = self.marks[self._hand : self._hand + _WINDOW].copy()  # others write to it
            marked = np.flatnonzero(window)
            step = int(marked[0]) if len(marked) else len(window)
            slot = self._hand + step
            passed += max(1, step)
            self._hand = 0 if slot + 1 >= self.count else slot + (1 if len(marked) else 0)
            if not len(marked):
                continue
            if self._touched[slot]:
                self._touched[slot] = 0
            elif self._drop(slot):
                return self.nbytes
        return 0

    def _drop(self, slot: int) -> bool:
        place = self._place[1] + slot
        with self._threads:
            if self._readers or slot in self._writing or not self.arena.try_lock(place):
                return False
            try:
                if not self.marks[slot]:
                    return False
                self.marks[slot] = 0
                self._cells.release(slot * self.nbytes, self.nbytes)
            finally:
                self.arena.unlock(place)
        self.arena.account(-self.nbytes)
        return True

    def close(self) -> None:
        """Give all memory back."""
        for slot in np.flatnonzero(self.marks.copy()):
            self._drop(int(slot))


_all: weakref.WeakSet[Cells] = weakref.WeakSet()


def _after_fork() -> None:
    for cells in list(_all):
        cells._nobody()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
