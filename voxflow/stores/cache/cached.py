"""A dataset whose chunks are decoded once for all processes that read it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.engine.workers.shared import is_shipping
from voxflow.stores.base import Attrs, StoredDataset, parse_region
from voxflow.stores.errors import MissingChunk
from voxflow.stores.grid import Index, chunks_of, copy_chunk

from .ahead import Waiting, in_background
from .arena import Arena, default_arena
from .cells import Cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["CachedDataset"]


class CachedDataset(StoredDataset):
    """A dataset for reading, with its decoded chunks kept in shared memory.

    What is read is the same as from the dataset itself, as long as nobody changes the file. Workers
    that it is sent to share the chunks: each is read and decoded once, by whoever needs it first.

    Parameters
    ----------
    dataset
        Stored in chunks.
    arena
        Where chunks are kept, and how much of them.
    """

    def __init__(self, dataset: StoredDataset, arena: Arena) -> None:
        super().__init__("r")
        grid = dataset.read_grid
        if grid is None:
            raise ValueError(f"{dataset.uri} is not stored in chunks, so there is nothing to keep")
        self._dataset, self._grid = dataset, grid
        self._shape, self._dtype = dataset.shape, dataset.dtype
        self._counts = tuple(-(-n // size) for n, size in zip(self._shape, grid, strict=True))
        self._cells = Cells(arena, math.prod(self._counts), grid, self._dtype)
        self._waiting = Waiting()
        weakref.finalize(self, self._cells.close).atexit = False

    def __reduce_ex__(self, protocol: Any) -> Any:
        if is_shipping():
            return super().__reduce_ex__(protocol)
        # Elsewhere it is shared anew, within the budget that there is.
        arena = self._cells.arena
        return _anew, (self._dataset, None if arena is default_arena() else arena.budget)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels."""
        return self._dataset.chunks

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """The grid of what is decoded at once."""
        return self._grid

    @property
    def attrs(self) -> Attrs:
        """The dataset's own attributes."""
        return self._dataset.attrs

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """The groups above."""
        return self._dataset.ancestors

    @property
    def uri(self) -> str:
        """Where it is, for messages."""
        return self._dataset.uri

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        raise NotImplementedError("a cached dataset is for reading only")

    def fetch(self, index: Index) -> NDArray[Any]:
        """A chunk, as the dataset itself has it."""
        return self._dataset.fetch(index)

    def kept_bytes(self, region: Sequence[slice] = ()) -> int:
        """The chunks that the region touches, as far as the budget allows."""
        bounds = parse_region(region, self._shape, self.uri)
        touched = [
            max(0, -(-end // size) - begin // size)
            for (begin, end), size in zip(bounds, self._grid, strict=True)
        ]
        return min(math.prod(touched) * self._cells.nbytes, self._cells.arena.room)

    @property
    def waits(self) -> bool:
        """Whether fetching chunks is mostly waiting, which several threads can do at once."""
        return self._waiting.pays and self._dataset.concurrent and self._kept() is None

    def prefetch(self, region: Sequence[slice] = ()) -> None:
        """Begin to fetch the chunks of a region, if that is mostly waiting; returns at once."""
        if not self.waits:
            return
        touched = list(chunks_of(parse_region(region, self._shape, self.uri), self._grid))
        self._begin([(index, self._number(index)) for index in touched])

    def read_ahead(self, region: Sequence[slice] = ()) -> None:
        """Begin to read a region, where this process reads alone."""
        kept = self._kept()
        if kept is not None:
            kept.read_ahead(region)

    def _number(self, index: Index) -> int:
        return int(self._numbers(np.array([index], np.int64))[0])

    def _numbers(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        # The first axis varies fastest, as in a scan: what a scan has read lately are then numbers
        # in a row, which share no cell.
        places = tuple(indices.T)
        numbers: NDArray[np.int64] = np.ravel_multi_index(places, self._counts, order="F")
        return numbers

    def _begin(self, chunks: Sequence[tuple[Index, int]]) -> None:
        # No more than a part of the budget, and one for each cell: chunks that push each other out
        # before they are read would be fetched twice.
        room = self._cells.arena.room // 4 // self._cells.nbytes
        used, me = set[int](), weakref.ref(self)
        for index, number in chunks:
            slot = number % self._cells.count
            if len(used) < room and slot not in used and self._cells.marks[slot] != number + 1:
                used.add(slot)
                in_background(partial(_ahead_of, me, index, number))

    def _kept(self) -> StoredDataset | None:
        """The dataset with what it keeps itself, where this process reads alone."""
        pool = self._cells.arena.pool
        return None if pool is None else pool.keeping(self._dataset)

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        kept = self._kept()
        if kept is not None:
            return kept._read(region, bounds)
        # With its compiler, that takes a third of a second: not for a process that reads alone.
        from .copying import copy_cells

        out = np.empty([end - begin for begin, end in bounds], self._dtype)
        touched = list(chunks_of(bounds, self._grid))
        if not touched:
            return out
        indices = np.array(touched, np.int64)
        numbers = self._numbers(indices)
        marks, slots = self._cells.marks, numbers % self._cells.count
        there = marks[slots] == numbers + 1
        absent = np.flatnonzero(~there)
        if self.waits:  # the rest at once, while the first is waited for
            self._begin([(touched[at], int(numbers[at])) for at in absent[1:]])
        try:
            for at in absent:
                there[at] = not self._fetch_into(out, bounds, touched[at], int(numbers[at]))
        except MissingChunk:
            return self._dataset.read(region)  # raises too, and knows all that is missing
        with self._cells.reading():
            gone = there & (marks[slots] != numbers + 1)
            copy_cells(self._cells, slots, indices, there & ~gone, bounds, out)
            self._cells.touch(slots[there])
        for at in np.flatnonzero(gone):  # given up in between, which hardly ever happens
            copy_chunk(self._dataset.fetch(touched[at]), touched[at], self._grid, bounds, out)
        return out

    def _fetch_into(self, out: NDArray[Any], bounds: Bounds, index: Index, number: int) -> bool:
        """Fetch a chunk that is not kept; False if somebody else did in the meantime."""
        with self._cells.filling(number) as needed:
            if not needed:
                return False
            chunk = _fetch_to_keep(self._dataset, self._cells, self._waiting, index, number)
        copy_chunk(chunk, index, self._grid, bounds, out)
        return True


def _fetch_to_keep(
    dataset: StoredDataset, cells: Cells, waiting: Waiting, index: Index, number: int
) -> NDArray[Any]:
    with waiting.measured():
        chunk = dataset.fetch(index)
    cells.put(number, chunk, tuple(slice(0, n) for n in chunk.shape))
    return chunk


def _ahead_of(cached: weakref.ref[CachedDataset], index: Index, number: int) -> None:
    alive = cached()
    if alive is None:
        return  # what nobody has any more need not be fetched
    dataset, cells, waiting = alive._dataset, alive._cells, alive._waiting
    del alive  # or some of many threads would always have it
    with cells.filling(number) as needed:
        if needed:
            _fetch_to_keep(dataset, cells, waiting, index, number)


def _anew(dataset: StoredDataset, budget: int | None) -> StoredDataset:
    arena = default_arena() if budget is None else Arena(budget)
    return CachedDataset(dataset, arena) if arena.budget else dataset
