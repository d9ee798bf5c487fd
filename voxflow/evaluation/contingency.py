"""Which objects of two segmentations share how many voxels: what all their scores are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.evaluation.pairs import FIELDS, add_rows, count_pairs, new_table
from voxflow.ops.pointers import unlocked

__all__ = ["Contingency", "PairCounter", "contingency", "parse_ids"]

_COLUMNS = ("truth", "found", "voxels", "runs", "places")


@dataclass(frozen=True, eq=False)
class Contingency:
    """How many voxels each object of one segmentation shares with each of another.

    A row is a pair of ids that is there, in the order of the ids: first of the truth, then of what
    was found. Its size depends on the number of objects, not on that of voxels. It is the same
    whether it was counted at once or block by block, except for places.

    Examples
    --------
    >>> table = contingency(np.array([5, 5, 5, 0]), np.array([1, 1, 2, 2]))
    >>> [(int(a), int(b), int(n)) for a, b, n in zip(table.truth, table.found, table.voxels)]
    [(0, 2, 1), (5, 1, 2), (5, 2, 1)]
    """

    truth: NDArray[np.uint64]
    """The id in the truth, shape (pairs,)."""
    found: NDArray[np.uint64]
    """The id in what was found, shape (pairs,)."""
    voxels: NDArray[np.int64]
    """How many voxels have both, shape (pairs,)."""
    runs: NDArray[np.int64]
    """How many of them lie in the longest row along the last axis, shape (pairs,)."""
    places: NDArray[np.int64]
    """The voxel in the middle of that row, numbered in the order of memory, shape (pairs,)."""
    shape: tuple[int, ...]
    """Of the volume, in voxels."""
    scattered: tuple[int, ...] = ()
    """Ids of what was found that are no object: each of their voxels is one of its own."""

    @property
    def total(self) -> int:
        """How many voxels were counted."""
        return int(self.voxels.sum())

    def positions(self) -> NDArray[np.int64]:
        """Where each pair is: a voxel that has both ids, shape (pairs, axes).

        It is the middle of the longest row of such voxels along the last axis, in one block.
        """
        if not self.shape:
            return np.zeros((len(self.places), 0), np.int64)
        return np.stack(np.unravel_index(self.places, self.shape), axis=1).astype(np.int64)

    def without(self, truth: Iterable[int] = (), found: Iterable[int] = ()) -> Contingency:
        """The same without the voxels that have one of these ids.

        Parameters
        ----------
        truth, found
            Ids, 0 to 2**64 - 1.
        """
        keep = ~np.isin(self.truth, parse_ids(truth)) & ~np.isin(self.found, parse_ids(found))
        columns = {name: getattr(self, name)[keep] for name in _COLUMNS}
        return replace(self, **columns)

    def scatter(self, *found: int) -> Contingency:
        """The same where each voxel of these ids of what was found is an object of its own."""
        return replace(self, scattered=(*self.scattered, *found))

    def __add__(self, other: Contingency) -> Contingency:
        """The table of both, for parts of a volume that were counted apart.

        Raises
        ------
        ValueError
            If they are not of one volume.
        """
        if self.shape != other.shape or self.scattered != other.scattered:
            raise ValueError(
                f"tables of volumes of {self.shape} and {other.shape} voxels are not parts of one"
            )
        counter = PairCounter(self.shape)
        counter.merge(self)
        counter.merge(other)
        return counter.table().scatter(*self.scattered)


def contingency(
    truth: NDArray[Any], found: NDArray[Any], *, mask: NDArray[Any] | None = None
) -> Contingency:
    """Count which objects of two segmentations share how many voxels.

    Parameters
    ----------
    truth, found
        Ids, integer or bool, of one shape; 0 to 2**64 - 1.
    mask
        Of that shape; voxels where it is 0 are not counted.

    Raises
    ------
    TypeError
        If ids are not integers.
    ValueError
        If shapes differ, or an id is negative.
    """
    counter = PairCounter(truth.shape)
    counter.add(truth, found, mask=mask)
    return counter.table()


class PairCounter:
    """Counts pairs of ids block by block, in one pass and in any order.

    Parameters
    ----------
    shape
        Of the whole volume in voxels.

    Examples
    --------
    >>> truth, found = np.array([[1, 1, 2, 2]]), np.array([[7, 7, 7, 9]])
    >>> counter = PairCounter((1, 4))
    >>> counter.add(truth[:, :2], found[:, :2])
    >>> counter.add(truth[:, 2:], found[:, 2:], offset=(0, 2))
    >>> counter.table().voxels.tolist(), counter.table().positions().tolist()
    ([2, 1, 1], [[0, 1], [0, 2], [0, 3]])
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(int(extent) for extent in shape)
        self._rows = new_table()
        self._used = 0

    def add(
        self,
        truth: NDArray[Any],
        found: NDArray[Any],
        *,
        mask: NDArray[Any] | None = None,
        offset: Sequence[int] | None = None,
    ) -> None:
        """Count the voxels of a block.

        Parameters
        ----------
        truth, found
            Ids, integer or bool, of one shape.
        mask
            Of that shape; voxels where it is 0 are not counted.
        offset
            The first voxel of the block in the volume; the origin by default.

        Raises
        ------
        TypeError
            If ids are not integers.
        ValueError
            If shapes differ, the block is not inside the volume, or an id is negative.
        """
        start = tuple(offset or (0,) * len(self.shape))
        self._check(truth, found, mask, start)
        if truth.size == 0:
            return
        lines = (-1, truth.shape[-1] if truth.ndim else 1)
        a, b, limits = _as_unsigned(truth, found)
        known = np.empty((0, 0), np.uint8)
        if mask is not None:
            known = np.ascontiguousarray(mask != 0).view(np.uint8).reshape(lines)
        places = _starts(truth.shape, start, self.shape)
        self._rows, self._used, bad = count_pairs(
            a.reshape(lines), b.reshape(lines), known, places, limits, self._rows, self._used
        )
        if bad >= 0:
            raise ValueError(_negative(truth, found, int(bad), start))

    def merge(self, other: PairCounter | Contingency) -> None:
        """Add what was counted elsewhere, of other parts of the same volume."""
        if other.shape != self.shape:
            raise ValueError(
                f"what was counted in a volume of {other.shape} voxels is no part of one of "
                f"{self.shape}"
            )
        rows = other._rows if isinstance(other, PairCounter) else _as_rows(other)
        self._rows, self._used = add_rows(rows, self._rows, self._used)

    def table(self) -> Contingency:
        """What was counted."""
        rows = self._rows[self._rows[:, 2] > 0]
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        truth, found = rows[:, 0].copy(), rows[:, 1].copy()
        voxels, runs, places = (rows[:, field].astype(np.int64) for field in (2, 3, 4))
        return Contingency(truth, found, voxels, runs, places, self.shape)

    def _check(
        self,
        truth: NDArray[Any],
        found: NDArray[Any],
        mask: NDArray[Any] | None,
        start: tuple[int, ...],
    ) -> None:
        for what, labels in (("truth", truth), ("segmentation", found)):
            check_labels(labels.dtype, what)
        given = [truth, found] if mask is None else [truth, found, mask]
        shapes = [array.shape for array in given]
        if len(set(shapes)) > 1:
            raise ValueError(
                f"truth, segmentation (and mask) cover the same voxels, their shapes are {shapes}: "
                "cut out the region that they have in common, or use voxflow.evaluation.evaluate, "
                "which does"
            )
        ends = zip(start, truth.shape, self.shape, strict=False)
        if len(start) != len(self.shape) or truth.ndim != len(self.shape):
            raise ValueError(f"a block of shape {truth.shape} is not of a volume of {self.shape}")
        if any(begin < 0 or begin + extent > whole for begin, extent, whole in ends):
            raise ValueError(
                f"a block of shape {truth.shape} at {start} is not inside of {self.shape}"
            )


def check_labels(dtype: Any, what: str) -> None:
    """Refuse what cannot be ids.

    Raises
    ------
    TypeError
        If the dtype is neither of integers nor bool.
    """
    if np.dtype(dtype).kind not in "iub":
        raise TypeError(
            f"the {what} is {dtype}, but ids are integers: a float holds them exactly only up to "
            "2**53 (float32: 2**24). If it holds ids, cast it, e.g. labels.astype('uint64'); if it "
            "is a map of scores, use evaluate_scores (voxflow evaluate --scores), or sweep its "
            "threshold (voxflow evaluate --sweep threshold=0.1:0.9:0.1)"
        )


def parse_ids(ids: Iterable[int]) -> NDArray[np.uint64]:
    """Ids as an array.

    Raises
    ------
    ValueError
        If one is not between 0 and 2**64 - 1.

    Examples
    --------
    >>> parse_ids([2**64 - 1])
    array([18446744073709551615], dtype=uint64)
    """
    values = [int(entry) for entry in ids]
    wrong = [value for value in values if not 0 <= value < 2**64]
    if wrong:
        raise ValueError(f"ids are between 0 and 2**64 - 1, got {wrong[0]}")
    return np.array(values, np.uint64)


def _as_unsigned(
    truth: NDArray[Any], found: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.uint64]]:
    """Both in one unsigned dtype, and the largest ids that are none below zero in disguise."""
    kinds = [_integer(labels.dtype) for labels in (truth, found)]
    limits = [int(np.iinfo(kind).max) for kind in kinds]
    # Of two sizes only, so that kernels are compiled for few.
    size = max(truth.dtype.itemsize, found.dtype.itemsize, 4)
    same = [_resized(labels, size) for labels in (truth, found)]
    return same[0], same[1], np.array(limits, np.uint64)


def _resized(labels: NDArray[Any], size: int) -> NDArray[Any]:
    own = labels if labels.dtype.kind != "b" else labels.view(np.uint8)
    if own.dtype.itemsize < size:
        own = own.astype(f"{own.dtype.kind}{size}", order="C")  # below zero it stays below zero
    plain = np.ascontiguousarray(own, dtype=own.dtype.newbyteorder("="))
    return unlocked(plain.view(f"u{size}"))


def _integer(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.uint8 if dtype.kind == "b" else dtype.newbyteorder("="))


def _starts(
    shape: tuple[int, ...], offset: tuple[int, ...], whole: tuple[int, ...]
) -> NDArray[np.int64]:
    """The place of each line of a block in the memory of the whole volume."""
    starts = np.array(offset[-1] if offset else 0, np.int64)
    for axis, extent in enumerate(shape[:-1]):
        stride = math.prod(whole[axis + 1 :])
        along = (offset[axis] + np.arange(extent, dtype=np.int64)) * stride
        starts = starts[..., None] + along
    return np.ascontiguousarray(starts).reshape(-1)


def _as_rows(table: Contingency) -> NDArray[np.uint64]:
    rows = np.empty((len(table.truth), FIELDS), np.uint64)
    for field, name in enumerate(_COLUMNS):
        rows[:, field] = getattr(table, name)
    return rows


def _negative(truth: NDArray[Any], found: NDArray[Any], place: int, start: tuple[int, ...]) -> str:
    index = np.unravel_index(place, truth.shape) if truth.ndim else ()
    for what, labels in (("truth", truth), ("segmentation", found)):
        value = int(labels[index])
        if value < 0:
            where = tuple(int(i) + begin for i, begin in zip(index, start, strict=True))
            return (
                f"the {what} has the id {value} at voxel {where}, but ids are 0 or more. If ids "
                "below 0 are voxels that are not labelled, make them 0 and ignore that id "
                "(ignore=[0]), or leave them out with a mask; if they were stored in a signed "
                "dtype by mistake, view them as unsigned"
            )
    raise AssertionError("unreachable")
