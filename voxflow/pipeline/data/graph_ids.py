"""Ids of the nodes of a graph: any 64-bit integers, exactly."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

IntArray = np.ndarray[Any, np.dtype[Any]]

_INT64_MAX = 2**63 - 1
_UINT64_MAX = 2**64 - 1


def as_ids(values: Any) -> IntArray:
    """Read ids, exactly: as int64, or as uint64 where one is larger than that.

    Parameters
    ----------
    values
        Integers of any kind, in any iterable.

    Returns
    -------
    IntArray
        A new array, flat or of the shape of an array given.

    Raises
    ------
    TypeError
        If one is no integer.
    ValueError
        If they do not fit into 64 bits together (a negative one beside one of 2**63).

    Examples
    --------
    >>> as_ids([3, 2**63]).dtype, as_ids(iter([-3, 4]))
    (dtype('uint64'), array([-3,  4]))
    """
    if hasattr(values, "__array__"):
        values = np.asarray(values)
    else:
        values = list(values)
        try:
            values = np.array([operator.index(value) for value in values], dtype=object)
        except TypeError as error:
            raise TypeError(f"the ids of nodes are integers: {error}") from None
    if values.dtype.kind not in "iu":
        if values.dtype.kind != "O" and values.size:
            raise TypeError(f"the ids of nodes are integers, got {values.dtype}")
        if not values.size:
            return np.empty(values.shape, np.int64)
    largest, smallest = int(values.max(initial=0)), int(values.min(initial=0))
    if largest <= _INT64_MAX and smallest >= -_INT64_MAX - 1:
        narrow: IntArray = values.astype(np.int64)
        return narrow
    if smallest < 0 or largest > _UINT64_MAX:
        raise ValueError(
            f"ids from {smallest} to {largest} do not fit into 64 bits together: negative ids go "
            f"down to -2**63 and up to 2**63 - 1, others up to 2**64 - 1"
        )
    wide: IntArray = values.astype(np.uint64)
    return wide


def fresh_ids(ids: IntArray, count: int) -> IntArray:
    """New ids, counted up from the largest there is.

    Where 64 bits end before that, the smallest ids from 0 that are free are taken instead. They
    fit into 64 bits together with those in use.

    Parameters
    ----------
    ids
        The ids in use, as of `as_ids`.
    count
        How many are wanted.

    Examples
    --------
    >>> fresh_ids(np.array([3, 9]), 2), fresh_ids(np.array([0, 2**64 - 1], np.uint64), 2)
    (array([10, 11]), array([1, 2]))
    """
    first = int(ids.max()) + 1 if len(ids) else 0
    limit = _INT64_MAX if len(ids) and int(ids.min()) < 0 else _UINT64_MAX
    if first + count - 1 <= limit:
        start = max(first, 0)
        dtype = np.int64 if start + count - 1 <= _INT64_MAX else np.uint64
        return np.arange(count, dtype=dtype) + dtype(start)
    candidates = np.arange(len(ids) + count, dtype=ids.dtype)
    return as_ids(np.setdiff1d(candidates, ids)[:count])


def join_ids(first: IntArray, second: IntArray) -> IntArray:
    """One array of two, that fit into 64 bits together; numpy's own join goes through float64."""
    if first.dtype != second.dtype:
        first, second = first.astype(np.uint64), second.astype(np.uint64)
    return np.concatenate([first, second])


def check_unique(ids: IntArray) -> None:
    """Raise ValueError if an id is there twice; the error names up to five of them."""
    ordered = np.sort(ids)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if len(twice):
        raise ValueError(
            f"{len(twice)} ids belong to more than one node: "
            f"{', '.join(map(str, twice[:5].tolist()))}{', ...' if len(twice) > 5 else ''}"
        )


def rows_of(ids: IntArray, wanted: IntArray) -> IntArray:
    """Where ids stand among others.

    Parameters
    ----------
    ids
        Ids, each once, shape (N,).
    wanted
        Ids to look up, any shape.

    Returns
    -------
    IntArray
        The row of each wanted id; -1 where there is none.
    """
    if ids.dtype != wanted.dtype:
        # Comparing int64 with uint64 goes through float64, which rounds ids above 2**53.
        ids, wanted = _comparable(ids, wanted)
    if not len(ids):
        return np.full(wanted.shape, -1, np.intp)
    order = np.argsort(ids, kind="stable")
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = order[place]
    return np.where(ids[rows] == wanted, rows, -1)


def _comparable(ids: IntArray, wanted: IntArray) -> tuple[IntArray, IntArray]:
    """Both as objects, as exact integers; rare enough not to be worth more."""
    return ids.astype(object), wanted.astype(object)
