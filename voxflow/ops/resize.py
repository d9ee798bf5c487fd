"""Arrays of another number of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rescale import rounded

__all__ = ["resize"]


def resize(data: NDArray[Any], shape: Sequence[int], *, linear: bool) -> NDArray[Any]:
    """Show the same region in another number of voxels, along the last axes.

    Parameters
    ----------
    data
        Leading axes are kept.
    shape
        How many voxels there shall be along the last axes.
    linear
        Interpolate; where the array shrinks, each voxel is the mean of those that it covers,
        weighted by a triangle, so that nothing is skipped. Integers are rounded, halves up.
        Else the nearest voxel is taken, exact for every dtype.

    Examples
    --------
    >>> resize(np.array([0.0, 1.0]), (4,), linear=True)
    array([0.  , 0.25, 0.75, 1.  ])
    >>> resize(np.array([7, 2**64 - 1], np.uint64), (3,), linear=False).tolist()
    [7, 18446744073709551615, 18446744073709551615]
    """
    first = data.ndim - len(shape)
    sizes = [(first + i, data.shape[first + i], n) for i, n in enumerate(shape)]
    if not linear:
        for axis, there, wanted in sizes:
            if there != wanted:
                data = data.take((2 * np.arange(wanted) + 1) * there // (2 * wanted), axis)
        return data
    values = data.astype(np.result_type(data.dtype, np.float32))
    for axis, there, wanted in sizes:
        if there != wanted:
            weights = _weights(there, wanted).astype(values.dtype)
            values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return rounded(values, data.dtype)


def _weights(there: int, wanted: int) -> NDArray[np.float64]:
    """How much of each voxel that is there (columns) goes into each that is wanted (rows)."""
    step = there / wanted
    centres = np.clip((np.arange(wanted) + 0.5) * step - 0.5, 0, there - 1)
    away = np.abs(np.arange(there) - centres[:, None]) / max(1.0, step)
    weights: NDArray[np.float64] = np.maximum(0.0, 1.0 - away)
    weights /= weights.sum(1, keepdims=True)
    return weights
