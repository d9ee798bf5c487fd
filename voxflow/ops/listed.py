"""Find and replace the ids of a list among labels, in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers

__all__ = ["is_listed", "replace_listed"]


def replace_listed(labels: npt.NDArray[Any], ids: Iterable[int], value: int) -> npt.NDArray[Any]:
    """Labels with another value in place of all ids of a list.

    Parameters
    ----------
    labels
        Integer or bool, any shape.
    ids
        Which labels are replaced. Those that the dtype of the labels cannot hold are nowhere.
    value
        What they become.

    Returns
    -------
    numpy.ndarray
        A new array of the labels' shape and dtype.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype, or an id is not whole.
    ValueError
        `value` does not fit into the dtype of the labels.

    Examples
    --------
    >>> replace_listed(np.array([1, 2, 3, 2**62]), [2**62, 3], 0)
    array([1, 2, 0, 0])
    """
    plain = as_integers(labels)
    info = np.iinfo(plain.dtype)
    if not info.min <= value <= info.max:
        raise ValueError(f"{value} does not fit into {labels.dtype}")
    out = np.empty(plain.shape, plain.dtype)
    _replace(plain.reshape(-1), _table(ids, plain.dtype), plain.dtype.type(value), out.reshape(-1))
    return out.view(bool) if labels.dtype == bool else out


def is_listed(
    labels: npt.NDArray[Any], ids: Iterable[int], inside: int = 1, outside: int = 0
) -> npt.NDArray[np.uint8]:
    """Whether the label of each voxel is on a list: ``inside`` where it is, else ``outside``.

    Returns
    -------
    numpy.ndarray
        uint8, of the labels' shape.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype, or an id is not whole.

    Examples
    --------
    >>> is_listed(np.array([1, 2, 3]), [2, -7])
    array([0, 1, 0], dtype=uint8)
    """
    plain = as_integers(labels)
    out = np.empty(plain.shape, np.uint8)
    table = _table(ids, plain.dtype)
    _mark(plain.reshape(-1), table, np.uint8(inside), np.uint8(outside), out.reshape(-1))
    return out


def _table(ids: Iterable[int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    info = np.iinfo(dtype)
    whole = whole_ids(ids)
    return np.array(sorted({n for n in whole if info.min <= n <= info.max}), dtype)


def whole_ids(ids: Iterable[int]) -> list[int]:
    """The numbers of a list.

    Raises
    ------
    TypeError
        One of them is not a whole number.

    Examples
    --------
    >>> whole_ids(np.array([1, 2], np.uint8))
    [1, 2]
    """
    found = list(ids)
    if not all(isinstance(n, (int, np.integer)) for n in found):
        raise TypeError(f"ids are whole numbers; got {found}")
    return [int(n) for n in found]


# Neighbours mostly have the same label: a list is looked into where the label changes.


@kernel
def _holds(table: Any, value: Any) -> bool:
    low, high = 0, table.size
    while low < high:
        middle = (low + high) // 2
        if table[middle] < value:
            low = middle + 1
        else:
            high = middle
    return bool(low < table.size and table[low] == value)


@kernel
def _replace(labels: Any, table: Any, value: Any, out: Any) -> None:
    if labels.size == 0:
        return
    last, found = labels[0], _holds(table, labels[0])
    for x in range(labels.size):
        here = labels[x]
        if here != last:
            last, found = here, _holds(table, here)
        out[x] = value if found else here


@kernel
def _mark(labels: Any, table: Any, inside: Any, outside: Any, out: Any) -> None:
    if labels.size == 0:
        return
    last, found = labels[0], _holds(table, labels[0])
    for x in range(labels.size):
        here = labels[x]
        if here != last:
            last, found = here, _holds(table, here)
        out[x] = inside if found else outside
