"""What values an array holds: range, and the ids of labels; of large arrays, of a sample."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pictures.ids import BACKGROUNDS
from voxflow.stores import MissingChunk
from voxflow.stores.grid import chunk_bounds, chunks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from voxflow.inspect.arrays import StoredArray
    from voxflow.stores import StoredDataset

__all__ = ["Labels", "Values", "count_ids", "summarise"]

SAMPLE_BYTES = 1 << 27
"""How much of an array is read, at most."""

_BLOCK_BYTES = 1 << 23
_LARGEST = 8
_CHUNKS = 4096  # that are tried one by one


@dataclass(frozen=True)
class Labels:
    """The ids of labels.

    Parameters
    ----------
    count
        How many there are, without the background.
    background
        The share of voxels of no object.
    largest
        Ids and their number of voxels, the largest first.
    """

    count: int
    background: float
    largest: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Values:
    """What was found among the values of an array.

    Parameters
    ----------
    low, high
        The least and the greatest one that is finite; None if there is none.
    share
        How much of the array was read, 0 to 1; chunks that are not stored are not.
    not_finite
        The number of NaN and infinite values.
    missing
        Whether a chunk that should have been read is not stored.
    labels
        Of labels.
    whole
        Whether all values are whole numbers.
    """

    low: int | float | bool | None
    high: int | float | bool | None
    share: float
    not_finite: int = 0
    missing: bool = False
    labels: Labels | None = None
    whole: bool = True


def summarise(array: StoredArray, max_bytes: int = SAMPLE_BYTES) -> Values | None:
    """Read an array, or a sample of it, block by block.

    Parameters
    ----------
    array
        To be read.
    max_bytes
        How much of it, at most. A sample is of blocks that are spread evenly.

    Returns
    -------
    Values
        None for values that are no numbers.
    """
    dataset = array.dataset
    if dataset.dtype.kind not in "biuf":
        return None
    seen = _Seen(array.guess == "labels")
    for block in _blocks(dataset.shape, dataset.dtype.itemsize, max_bytes):
        try:
            seen.add(dataset.read(block))
        except MissingChunk:
            seen.missing = True
            _add_what_is_there(seen, dataset, block)
    return seen.values(math.prod(dataset.shape))


def _add_what_is_there(seen: _Seen, dataset: StoredDataset, block: tuple[slice, ...]) -> None:
    """Read chunk by chunk, where some are not stored."""
    bounds = tuple((cut.start, cut.stop) for cut in block)
    grid = dataset.read_grid or dataset.chunks or dataset.shape
    for index in itertools.islice(chunks_of(bounds, grid), _CHUNKS):
        inside = zip(chunk_bounds(index, grid, dataset.shape), bounds, strict=True)
        try:
            seen.add(dataset.read([slice(max(a, c), min(b, d)) for (a, b), (c, d) in inside]))
        except MissingChunk:
            continue


class _Seen:
    """What was seen in blocks so far."""

    def __init__(self, count: bool) -> None:
        self.low: Any = None
        self.high: Any = None
        self.voxels = self.not_finite = 0
        self.missing, self.whole = False, True
        self.count = count
        self.ids: list[tuple[NDArray[Any], NDArray[np.int64]]] = []

    def add(self, data: NDArray[Any]) -> None:
        self.voxels += data.size
        if data.dtype.kind == "f":
            finite = np.isfinite(data)
            if not finite.all():
                self.not_finite += int(data.size - finite.sum())
                data = data[finite]
            self.whole = self.whole and bool((data == np.rint(data)).all())
        if not data.size:
            return
        low, high = data.min().item(), data.max().item()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        if self.count and self.whole:
            self.ids.append(count_ids(data))

    def values(self, size: int) -> Values:
        labels = None
        if self.ids and self.whole:
            labels = _labels(*map(np.concatenate, zip(*self.ids, strict=True)))
        share = self.voxels / size if size else 1.0
        return Values(self.low, self.high, share, self.not_finite, self.missing, labels, self.whole)


def _labels(ids: NDArray[Any], voxels: NDArray[np.int64]) -> Labels:
    ids, index = np.unique(ids, return_inverse=True)
    voxels = np.bincount(index, voxels).astype(np.int64)
    # Not as a list: that would be compared as float64.
    empty = np.isin(ids, np.array([v for v in BACKGROUNDS if v <= _most(ids.dtype)], ids.dtype))
    total = int(voxels.sum())
    order = np.argsort(-voxels[~empty], kind="stable")[:_LARGEST]
    pairs = zip(ids[~empty][order].tolist(), voxels[~empty][order].tolist(), strict=True)
    return Labels(
        int((~empty).sum()), int(voxels[empty].sum()) / total, tuple((int(i), n) for i, n in pairs)
    )


def _most(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).max) if dtype.kind in "iu" else 1


def count_ids(data: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Count voxels of each value, by runs of the same one, of which there are fewer.

    Returns
    -------
    ids, voxels
        In ascending order, and how many voxels each has.

    Examples
    --------
    >>> count_ids(np.array([[7, 7, 0], [0, 7, 7]]))
    (array([0, 7]), array([2, 4]))
    """
    flat = data.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    lengths = np.diff(starts, append=flat.size)
    ids, index = np.unique(flat[starts], return_inverse=True)
    return ids, np.bincount(index, lengths).astype(np.int64)


def _blocks(shape: tuple[int, ...], itemsize: int, max_bytes: int) -> Iterator[tuple[slice, ...]]:
    """Blocks that cover an array, or as many of them as may be read, evenly spread."""
    if 0 in shape:
        return
    block = list(shape)
    for axis in range(len(shape)):  # halves the first axis until that is 1, then the next one
        while math.prod(block) * itemsize > _BLOCK_BYTES and block[axis] > 1:
            block[axis] = -(-block[axis] // 2)
    counts = [-(-n // size) for n, size in zip(shape, block, strict=True)]
    total = math.prod(counts)
    wanted = max(1, min(total, max_bytes // max(1, math.prod(block) * itemsize)))
    if wanted == total:
        places: Any = itertools.product(*map(range, counts))
    else:  # the middle of as many stretches
        flat = [int((i + 0.5) * total / wanted) for i in range(wanted)]
        places = (np.unravel_index(i, counts) for i in flat)
    for place in places:
        yield tuple(
            slice(int(i) * size, min(n, (int(i) + 1) * size))
            for i, size, n in zip(place, block, shape, strict=True)
        )
