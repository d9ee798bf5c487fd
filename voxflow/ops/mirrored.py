"""A region of an array that may reach beyond it, where it is mirrored at its borders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["mirrored"]


def mirrored(
    data: NDArray[Any], begin: Sequence[int], shape: Sequence[int], *, repeated: bool = False
) -> NDArray[Any]:
    """A region of the last axes of an array, mirrored where it reaches beyond, as often as it takes.

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
        return data[(..., *(slice(b, b + n) for b, n, _ in axes))]
    made = np.empty((*data.shape[:lead], *shape), data.dtype)
    for part in product(*(_runs(b, n, size, repeated) for b, n, size in axes)):
        made[(..., *(to for to, _ in part))] = data[(..., *(of for _, of in part))]
    return made


def _runs(begin: int, count: int, size: int, repeated: bool) -> Iterator[tuple[slice, slice]]:
    """Which voxels of the region are which of the data, in pieces that go up or down."""
    if size == 1:
        yield slice(0, count), slice(0, 1)  # which numpy repeats
        return
    period = 2 * size if repeated else 2 * size - 2
    done = 0
    while done < count:
        at = (begin + done) % period
        if at < size:
            n = min(size - at, count - done)
            yield slice(done, done + n), slice(at, at + n)
        else:
            n = min(period - at, count - done)
            first = period - at - repeated
            last = first - n
            yield slice(done, done + n), slice(first, None if last < 0 else last, -1)
        done += n
