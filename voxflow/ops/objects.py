"""The objects of a label array as runs of voxels, for work that is done object by object."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers

__all__ = ["Objects"]


class Objects(NamedTuple):
    """Objects, in the order of their ids.

    Examples
    --------
    >>> objects = Objects.of(np.array([[7, 7, 0, 5], [5, 5, 7, 7]]))
    >>> objects.ids
    array([5, 7])
    >>> objects.runs[0]
    array([[0, 0, 3, 4],
           [0, 1, 0, 2]], dtype=int32)
    """

    ids: npt.NDArray[Any]
    """Shape (objects,), of the labels' dtype (uint8 for bool)."""
    runs: list[npt.NDArray[np.int32]]
    """For each object, of shape (runs, 4): z, y, the first x, and the x behind the last."""

    @classmethod
    def of(cls, labels: npt.NDArray[Any], background: int = 0) -> Objects:
        """Find the objects, in one pass over the labels.

        Parameters
        ----------
        labels
            Integer or bool, shape (x,), (y, x) or (z, y, x). Its ids have the full range of uint64.
        background
            The value of free voxels.

        Returns
        -------
        Objects
            The runs of each object in the order of memory.

        Raises
        ------
        TypeError
            The labels are not of an integer (or bool) dtype.
        ValueError
            The labels have more than three axes or none, or `background` does not fit into their
            dtype.
        """
        if not 1 <= labels.ndim <= 3:
            raise ValueError(
                f"objects are found in 1 to 3 axes; the labels have shape {labels.shape}"
            )
        ids = as_integers(labels)
        info = np.iinfo(ids.dtype)
        if not info.min <= background <= info.max:
            raise ValueError(f"background {background} does not fit into {labels.dtype}")
        lines, free = ids.reshape((1,) * (3 - ids.ndim) + ids.shape), ids.dtype.type(background)
        count = _count_runs(lines, free)
        values, places = np.empty(count, ids.dtype), np.empty((count, 4), np.int32)
        _find_runs(lines, free, values, places)
        order = np.argsort(values, kind="stable")
        values, places = values[order], places[order]
        if count == 0:
            return cls(values, [])
        change = np.flatnonzero(values[1:] != values[:-1]) + 1
        return cls(values[np.concatenate([[0], change])], np.split(places, change))


@kernel
def _count_runs(labels: Any, background: Any) -> int:
    count = 0
    for z in range(labels.shape[0]):
        for y in range(labels.shape[1]):
            before = background
            for x in range(labels.shape[2]):
                value = labels[z, y, x]
                count += value != before and value != background
                before = value
    return count


@kernel
def _find_runs(labels: Any, background: Any, values: Any, places: Any) -> None:
    depth, height, width = labels.shape
    count = 0
    for z in range(depth):
        for y in range(height):
            begin = 0
            while begin < width:
                value, end = labels[z, y, begin], begin + 1
                while end < width and labels[z, y, end] == value:
                    end += 1
                if value != background:
                    values[count] = value
                    places[count, 0], places[count, 1] = z, y
                    places[count, 2], places[count, 3] = begin, end
                    count += 1
                begin = end
