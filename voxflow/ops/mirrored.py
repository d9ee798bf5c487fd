"""A region of an array that may reach beyond it, where it is mirrored at its borders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.pipeline.compiled import kernel

from .pointers import pointer, unlocked

__all__ = ["mirrored"]


def mirrored(
    data: NDArray[Any], begin: Sequence[int], shape: Sequence[int], *, repeated: bool = False
) -> NDArray[Any]:
    """A region of the last axes of an array, mirrored where it reaches beyond.

    Parameters
    ----------
    data
        Shape (\\*lead, \\*spatial); none of the spatial axes is empty.
    begin
        Where the region begins, in voxels of `data`, for each spatial axis.
    shape
        How many voxels it has.
    repeated
        Whether the voxel at the border is repeated: ``"symmetric"`` and not ``"reflect"``, as
        `numpy.pad` calls these.

    Returns
    -------
    NDArray
        Shape (\\*lead, \\*shape). A view where the region does not reach beyond.

    Examples
    --------
    >>> mirrored(np.array([1, 2, 3]), [-2], [7])
    array([3, 2, 1, 2, 3, 2, 1])
    >>> mirrored(np.array([1, 2, 3]), [-2], [7], repeated=True)
    array([2, 1, 1, 2, 3, 3, 2])
    """
    lead = data.ndim - len(shape)
    axes = list(zip(begin, shape, data.shape[lead:], strict=True))
    if all(b >= 0 and b + n <= size for b, n, size in axes):
        inside: Any = (..., *(slice(b, b + n) for b, n, _ in axes))
        return np.asarray(data[inside])
    if data.dtype.itemsize not in (1, 2, 4, 8):
        where: Any = (..., *np.ix_(*(_table(b, n, size, repeated) for b, n, size in axes)))
        return np.asarray(data[where])
    kind = np.dtype(f"u{data.dtype.itemsize}")
    source = unlocked(np.ascontiguousarray(data).view(kind))
    rows = np.zeros(1, np.int64)
    for b, n, size in [*((0, n, n) for n in data.shape[:lead]), *axes[:-1]]:
        rows = np.add.outer(rows * size, _table(b, n, size, repeated)).ravel()
    runs = np.array(list(_runs(*axes[-1], repeated)), np.int64)
    made = np.empty((*data.shape[:lead], *shape), data.dtype)
    _copy(source.reshape(-1), rows * source.shape[-1], runs, made.view(kind).reshape(-1))
    return made


def _table(begin: int, count: int, size: int, repeated: bool) -> NDArray[np.int64]:
    """Which voxel of the data each voxel of the region is."""
    if size == 1:
        return np.zeros(count, np.int64)
    period = 2 * size if repeated else 2 * size - 2
    at = np.arange(begin, begin + count) % period
    return np.minimum(at, period - repeated - at)


def _runs(begin: int, count: int, size: int, repeated: bool) -> Iterator[tuple[int, int, int]]:
    """The first voxel of the data, how many follow, and whether up (1), down (-1) or none (0)."""
    if size == 1:
        yield 0, count, 0
        return
    period = 2 * size if repeated else 2 * size - 2
    while count > 0:
        at = begin % period
        up = at < size
        n = min((size if up else period) - at, count)
        yield (at, n, 1) if up else (period - repeated - at, n, -1)
        begin, count = begin + n, count - n


@kernel
def _copy(source: Any, rows: Any, runs: Any, out: Any) -> None:
    """Write, for each row of the source that begins there, its runs."""
    data, made, to = pointer(source), pointer(out), 0
    for row in rows:
        for run in range(len(runs)):
            first, n = row + runs[run, 0], runs[run, 1]
            if runs[run, 2] > 0:
                for k in range(n):
                    made[to + k] = data[first + k]
            elif runs[run, 2] < 0:
                for k in range(n):
                    made[to + k] = data[first - k]
            else:
                for k in range(n):
                    made[to + k] = data[first]
            to += n
