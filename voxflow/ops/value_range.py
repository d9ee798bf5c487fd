"""Between which numbers the voxels of an array lie, without making them where that is known."""

from __future__ import annotations

from voxflow.pipeline.data import Array

from .recipe import Recipe
from .values.changes import Range

__all__ = ["value_range"]


def value_range(array: Array, within: Range) -> Range:
    """Between which numbers the values of an array lie.

    Where it is known beforehand that they lie within some range, nobody looks at them, and that
    range, or a smaller one, is returned.

    Examples
    --------
    >>> import numpy as np
    >>> value_range(Array(np.array([3, 5], np.uint8)), within=(0, 255))
    (0, 255)
    >>> value_range(Array(np.array([3, 5], np.uint8)), within=(0, 4))
    (3, 5)
    """
    low, high = Recipe.of(array).range
    if (low >= within[0] and high <= within[1]) or 0 in array.shape:
        return max(low, within[0]), min(high, within[1])
    data = array.data
    return data.min().item(), data.max().item()
