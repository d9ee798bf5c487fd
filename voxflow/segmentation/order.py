"""Edges in the order of their strength."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

__all__ = ["GROUPS", "MAGNITUDE", "group_of", "strongest_first"]

_BITS = 11
_DIGITS = 3
GROUPS = 1 << (32 - (_DIGITS - 1) * _BITS)
"""How many groups of like strength there are (see `group_of`)."""
MAGNITUDE = 0x7FFFFFFF
"""All bits of a weight but for the sign."""


def strongest_first(
    weights: npt.NDArray[np.float32], edges: npt.NDArray[np.int32], one_group: bool = False
) -> npt.NDArray[np.int32]:
    """Sort edges by the magnitude of their weights, the largest first; ties stay in their order.

    A radix sort of the bits, which are ordered as the magnitudes are: linear in the number of
    edges.

    Parameters
    ----------
    weights
        Finite, of all edges there are.
    edges
        The numbers of those to sort; overwritten.
    one_group
        Whether they are all of one group (see `group_of`), which takes less time.

    Returns
    -------
    numpy.ndarray
        The numbers; of weights with a minus the complement (``~``): a sign needs no look-up.

    Examples
    --------
    >>> weights = np.array([0.5, -2, 1, 2], np.float32)
    >>> strongest_first(weights, np.arange(4, dtype=np.int32)).tolist()
    [-2, 3, 2, 0]
    """
    # What is larger comes first: the bits of a magnitude, turned round.
    bits = weights.view(np.int32)[edges]
    keys = ~(bits.view(np.uint32) << np.uint32(1))
    edges ^= bits >> 31
    other, other_keys = np.empty_like(edges), np.empty_like(keys)
    for digit in range(_DIGITS - one_group):
        _sort_digit(keys, edges, other_keys, other, digit * _BITS)
        keys, other_keys, edges, other = other_keys, keys, other, edges
    return edges


@kernel
def group_of(bits: Any) -> int:
    """The group of a weight, by its bits (int32): stronger ones are in an earlier group."""
    return GROUPS - 1 - ((int(bits) & MAGNITUDE) >> (2 * _BITS - 1))


@kernel
def _sort_digit(keys: Any, edges: Any, out_keys: Any, out: Any, shift: int) -> None:
    """Sort by some bits; what goes with a key lies beside it, so that memory is read in order."""
    size = 1 << _BITS
    begin = np.zeros(size + 1, np.int64)
    for i in range(edges.size):
        begin[((keys[i] >> shift) & (size - 1)) + 1] += 1
    for digit in range(size):
        begin[digit + 1] += begin[digit]
    for i in range(edges.size):
        digit = (keys[i] >> shift) & (size - 1)
        place = begin[digit]
        out[place], out_keys[place] = edges[i], keys[i]
        begin[digit] = place + 1
