"""The pieces of an array, found in its flat memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["pieces_of", "runs"]


def pieces_of(shape: tuple[int, ...], slab: Sequence[int] | None, what: str) -> tuple[int, ...]:
    """The size of a piece along each axis of an array.

    Parameters
    ----------
    shape
        of the array.
    slab
        a size for each axis, -1 for the full axis; None: the array is one piece.
    what
        the array, for messages.

    Raises
    ------
    ValueError
        If the slab does not fit.

    Examples
    --------
    >>> pieces_of((3, 10, 10), (1, -1, -1), "the data")
    (1, 10, 10)
    """
    if slab is None:
        return shape
    sizes = tuple(slab)
    if len(sizes) != len(shape) or any(size == 0 or size < -1 for size in sizes):
        raise ValueError(
            f"slab {sizes} needs an entry for each of the {len(shape)} axes of {what}, whose shape "
            f"is {shape}: a size of 1 or more, or -1 for the full axis"
        )
    return tuple(n if size == -1 else size for n, size in zip(shape, sizes, strict=True))


def runs(
    shape: tuple[int, ...], pieces: tuple[int, ...]
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """The pieces of a C-contiguous array, in order: where their runs start, how long these are.

    Pieces that come one after the other in memory, each in a single run, are given at once.

    Yields
    ------
    tuple[NDArray[np.int64], int]
        Starts, of shape (pieces, runs in each), and the length of all these runs.

    Examples
    --------
    >>> [(s.tolist(), n) for s, n in runs((2, 4), (1, 2))]
    [([[0], [2], [4], [6]], 2)]
    >>> [(s.tolist(), n) for s, n in runs((2, 4), (2, 3))]
    [([[0, 4]], 3), ([[3, 7]], 1)]
    """
    if not shape or 0 in shape:
        yield np.zeros((1, 1), np.int64), math.prod(shape)
        return
    # Trailing axes that are not cut are one run, together with the last axis that is.
    cut = max((axis for axis, n in enumerate(shape) if pieces[axis] < n), default=0)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    if all(size == 1 for size in pieces[:cut]) and shape[cut] % min(pieces[cut], shape[cut]) == 0:
        length = min(pieces[cut], shape[cut]) * strides[cut]
        yield np.arange(0, math.prod(shape), length)[:, None], length
        return
    for corner in itertools.product(
        *(range(0, n, size) for n, size in zip(shape, pieces, strict=True))
    ):
        starts = np.zeros(1, dtype=np.int64)
        for axis in range(cut):
            stop = min(corner[axis] + pieces[axis], shape[axis])
            places = np.arange(corner[axis], stop, dtype=np.int64) * strides[axis]
            starts = (starts[:, None] + places).reshape(-1)
        stop = min(corner[cut] + pieces[cut], shape[cut])
        yield (starts + corner[cut] * strides[cut])[None], (stop - corner[cut]) * strides[cut]
