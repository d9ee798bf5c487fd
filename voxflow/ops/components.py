"""Number the connected components of labels.

Rows are cut into runs of equal label; runs that touch those of the rows before are united. So the
forest has a tree per component and a node per run, not per voxel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers

__all__ = ["connected_components"]


def connected_components(
    labels: npt.NDArray[Any], background: int = 0
) -> tuple[npt.NDArray[Any], int]:
    """Give each connected component of equal label an id of its own.

    Voxels are connected through their faces. Ids count from 1 in the order of memory, by the first
    voxel of each component; background becomes 0.

    Parameters
    ----------
    labels
        Integer or bool, shape (\\*spatial), one axis or more.
    background
        The value of free voxels.

    Returns
    -------
    tuple[numpy.ndarray, int]
        The ids, of the labels' shape and dtype, and how many there are.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype.
    ValueError
        There are more components than the dtype can number, `background` does not fit into it, or
        the labels have no axis.

    Examples
    --------
    >>> connected_components(np.array([7, 7, 0, 7, 5, 5]))
    (array([1, 1, 0, 2, 3, 3]), 3)
    """
    if labels.ndim == 0:
        raise ValueError("labels have one axis or more; got a single number")
    ids = as_integers(labels)
    info = np.iinfo(ids.dtype)
    if not info.min <= background <= info.max:
        raise ValueError(f"background {background} does not fit into {labels.dtype}")
    out = np.zeros(labels.shape, ids.dtype)
    if out.size == 0:
        return out.view(labels.dtype), 0
    rows = ids.reshape(-1, labels.shape[-1])
    free = ids.dtype.type(background)
    first = np.empty(len(rows) + 1, np.int64)
    count = _count_runs(rows, free, first)
    begin, end = np.empty(count, np.int64), np.empty(count, np.int64)
    _find_runs(rows, free, begin, end)
    parent = np.arange(count)
    _unite_rows(rows, _steps(labels.shape), first, begin, end, parent)
    most = 1 if labels.dtype == bool else int(info.max)
    found = int(_number(parent))
    if found > most:
        raise ValueError(
            f"{labels.dtype} holds ids up to {most}, but there are {found} components; "
            "use a wider dtype (AsType)"
        )
    _fill(first, begin, end, parent, out.reshape(rows.shape))
    return out.view(labels.dtype), found


def _steps(shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """For each axis but the last: how far the row before is, and how long the axis is."""
    rows = shape[:-1]
    steps = [(math.prod(rows[axis + 1 :]), n) for axis, n in enumerate(rows)]
    return np.array(steps, np.int64).reshape(-1, 2)


@kernel
def _count_runs(labels: Any, background: Any, first: Any) -> int:
    """Which run is the first of each row; how many there are."""
    count = 0
    for r in range(labels.shape[0]):
        first[r] = count
        before = background
        for x in range(labels.shape[1]):
            value = labels[r, x]
            count += value != before and value != background
            before = value
    first[labels.shape[0]] = count
    return count


@kernel
def _find_runs(labels: Any, background: Any, begin: Any, end: Any) -> None:
    rows, width = labels.shape
    count = 0
    for r in range(rows):
        start = 0
        while start < width:
            value, stop = labels[r, start], start + 1
            while stop < width and labels[r, stop] == value:
                stop += 1
            if value != background:
                begin[count], end[count] = start, stop
                count += 1
            start = stop


@kernel
def _unite_rows(labels: Any, steps: Any, first: Any, begin: Any, end: Any, parent: Any) -> None:
    for r in range(labels.shape[0]):
        for a in range(len(steps)):
            if (r // steps[a, 0]) % steps[a, 1]:
                _unite_two(labels, r, r - steps[a, 0], first, begin, end, parent)


@kernel
def _unite_two(
    labels: Any, row: int, other: int, first: Any, begin: Any, end: Any, parent: Any
) -> None:
    i, j = first[row], first[other]
    while i < first[row + 1] and j < first[other + 1]:
        if begin[i] < end[j] and begin[j] < end[i] and labels[row, begin[i]] == labels[
            other, begin[j]
        ]:  # fmt: skip
            one, two = root(parent, i), root(parent, j)
            parent[max(one, two)] = min(one, two)  # the first run is the root
        if end[i] < end[j]:
            i += 1
        else:
            j += 1


@kernel
def root(parent: Any, at: int) -> int:
    """The root of a node of a forest; the way to it becomes shorter."""
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@kernel
def _number(parent: Any) -> int:
    """Put the number of its component, from 1, in the place of each run's parent."""
    count = 0
    for i in range(parent.size):
        if parent[i] == i:
            count += 1
            parent[i] = -count
        else:  # which lies before, and has its number already
            parent[i] = parent[parent[i]]
    for i in range(parent.size):
        parent[i] = -parent[i]
    return count


@kernel
def _fill(first: Any, begin: Any, end: Any, number: Any, out: Any) -> None:
    for r in range(out.shape[0]):
        for i in range(first[r], first[r + 1]):
            for x in range(begin[i], end[i]):
                out[r, x] = number[i]
