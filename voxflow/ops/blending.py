"""Weights with which overlapping tiles become one array, and their exact sums.

Along each axis a tile begins with a ramp over its overlap with the tile before. The weight of a
tile is its own ramp less the ramp of the next tile::

    ramps    ____/----------    of tile 1: from 0 to the whole
             __________/----    of tile 2
    weight   ____/-----\\____    of tile 1

So the weights of all tiles sum to the whole at each voxel, also where three tiles overlap. They are
whole numbers, and small enough that sums of float32 times weight lose nothing as float64: where
all tiles agree, the result is what they say, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.pipeline.compiled import kernel

from .pointers import unlocked

__all__ = ["add_weighted", "tile_weights", "whole_weight"]

_BITS = 29  # of float64's 53, float32 takes 24


def whole_weight(ndim: int) -> int:
    """What the weights along one axis sum to, if there are so many axes; a power of two.

    >>> whole_weight(2), whole_weight(3), whole_weight(5)
    (512, 512, 32)
    """
    return 1 << min(9, _BITS // ndim)


def tile_weights(
    begins: Sequence[int], size: int, tile: int, low: int, high: int, whole: int = 512
) -> NDArray[np.int64]:
    """The weights of one tile along one axis.

    Parameters
    ----------
    begins
        Where the tiles begin (voxels), ascending, without gaps between them.
    size
        Of all tiles (voxels).
    tile
        Which one.
    low, high
        Of which voxels, ``high`` not included.
    whole
        What the weights of all tiles sum to.

    Returns
    -------
    numpy.ndarray
        Shape (high - low,), from 0 to `whole`; 0 outside of the tile.

    Examples
    --------
    >>> [tile_weights((0, 4), 6, tile, 0, 10, 8).tolist() for tile in (0, 1)]
    [[8, 8, 8, 8, 6, 2, 0, 0, 0, 0], [0, 0, 0, 0, 2, 6, 8, 8, 8, 8]]
    """
    voxels = np.arange(low, high, dtype=np.int64)
    return _ramp(begins, size, tile, voxels, whole) - _ramp(begins, size, tile + 1, voxels, whole)


def _ramp(
    begins: Sequence[int], size: int, tile: int, voxels: NDArray[np.int64], whole: int
) -> NDArray[np.int64]:
    """Taken at the centres of voxels, rounded down: so no ramp rises above the one before."""
    if tile in (0, len(begins)):
        return np.full(len(voxels), whole if tile == 0 else 0, np.int64)
    begin, end = begins[tile], begins[tile - 1] + size
    if begin == end:
        return np.where(voxels < begin, 0, whole)
    rising = (2 * (voxels - begin) + 1) * whole // (2 * (end - begin))
    return np.clip(rising, 0, whole)


def add_weighted(
    total: NDArray[np.float64], values: NDArray[Any], weights: Sequence[NDArray[np.float64]]
) -> None:
    """Add values times the product of weights of all axes, in place.

    Parameters
    ----------
    total
        Shape (channels, \\*spatial).
    values
        Of the same shape, floating point.
    weights
        For each spatial axis, one for each voxel.

    Examples
    --------
    >>> total = np.zeros((1, 2, 3))
    >>> add_weighted(total, np.ones((1, 2, 3), np.float32), [np.array([1.0, 2]), np.arange(3.0)])
    >>> total.tolist()
    [[[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]]]
    """
    if len(weights) > 3:
        for i, weight in enumerate(weights[0]):
            add_weighted(total[:, i], values[:, i], [weight * weights[1], *weights[2:]])
        return
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    missing = 3 - len(weights)
    added = (slice(None), *(None,) * missing)
    ones = [np.ones(1)] * missing
    _add(total[added], unlocked(values[added]), *ones, *weights)


@kernel
def _add(total: Any, values: Any, first: Any, second: Any, third: Any) -> None:
    for c in range(total.shape[0]):
        for i in range(total.shape[1]):
            for j in range(total.shape[2]):
                weight = first[i] * second[j]
                for k in range(total.shape[3]):
                    total[c, i, j, k] += weight * third[k] * values[c, i, j, k]
