"""Where the value of labels changes: voxels at the boundary of objects, background, and the rest.

Marks at both sides of each change spread as in `boundary.grow_boundary`, slab by slab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers
from .boundary import MAX_STEPS, around_axis, mark_unequal, slabs, spread
from .pointers import pointer

__all__ = ["label_edges"]


def label_edges(
    labels: npt.NDArray[Any],
    thickness: int = 1,
    values: Sequence[int] = (0, 0, 1, 1),
    axes: Sequence[int] | None = None,
    touching_only: bool = False,
    background: int = 0,
) -> npt.NDArray[np.uint8]:
    """Tell voxels at a change of the labels from others.

    A change is a pair of neighbours along an axis with different labels. Its edge is all voxels
    within `thickness` moves along the axes, counted from the face between the two: a thickness of
    1 are the two voxels themselves, each more adds a voxel on either side. Beyond the array nothing
    changes.

    Parameters
    ----------
    labels
        Integer or bool, shape (\\*spatial).
    thickness
        Voxels on each side of a change, 1 to 255.
    values
        What is written, 0 to 255: for objects, background, objects at an edge, background at an
        edge.
    axes
        Along which to look and to move, counted as numpy does. None: all.
    touching_only
        Only changes between two objects count, not those between an object and background.
    background
        The value of free voxels.

    Returns
    -------
    numpy.ndarray
        uint8, of the labels' shape.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype.
    ValueError
        `thickness`, `values`, `axes` or `background` is out of range.

    Examples
    --------
    >>> label_edges(np.array([5, 5, 5, 5, 7, 7, 7, 7, 0, 0]))
    array([0, 0, 0, 1, 1, 0, 0, 1, 1, 0], dtype=uint8)
    >>> label_edges(np.array([5, 5, 5, 5, 7, 7, 7, 7, 0, 0]), 2, touching_only=True)
    array([0, 0, 1, 1, 1, 1, 0, 0, 0, 0], dtype=uint8)
    """
    along = _check(labels, thickness, values, axes, background)
    ids = as_integers(labels)
    free, table = ids.dtype.type(background), np.array(values, np.uint8)
    out = np.empty(labels.shape, np.uint8)
    for part in slabs(labels.shape, 0, thickness):
        slab = ids[part.low : part.high]
        marks = np.zeros(slab.shape, np.uint8)
        for axis in along:
            view = around_axis(slab.shape, axis)
            if touching_only:
                _mark_touching(slab.reshape(view), np.uint8(thickness), free, marks.reshape(view))
            else:
                mark_unequal(slab.reshape(view), np.uint8(thickness), marks.reshape(view))
        if thickness > 1:
            for axis in along:
                spread(marks.reshape(around_axis(slab.shape, axis)), thickness)
        inner = slice(part.begin - part.low, part.end - part.low)
        target = out[part.begin : part.end]
        _tell(slab[inner].reshape(-1), marks[inner].reshape(-1), free, table, target.reshape(-1))
    return out


def _check(
    labels: npt.NDArray[Any],
    thickness: int,
    values: Sequence[int],
    axes: Sequence[int] | None,
    background: int,
) -> list[int]:
    if labels.ndim == 0:
        raise ValueError("labels have one axis or more; got a single number")
    if not 1 <= thickness <= MAX_STEPS:
        raise ValueError(f"thickness is between 1 and {MAX_STEPS} voxels; got {thickness}")
    if len(values) != 4 or not all(0 <= value <= 255 for value in values):
        raise ValueError(f"values are four numbers from 0 to 255; got {tuple(values)}")
    if np.issubdtype(labels.dtype, np.integer):
        info = np.iinfo(labels.dtype)
        if not info.min <= background <= info.max:
            raise ValueError(f"background {background} does not fit into {labels.dtype}")
    given = range(labels.ndim) if axes is None else axes
    if not all(-labels.ndim <= axis < labels.ndim for axis in given):
        raise ValueError(f"axes {tuple(given)} are not all of the {labels.ndim} of the labels")
    return sorted({axis % labels.ndim for axis in given})


@kernel
def _mark_touching(labels: Any, mark: Any, background: Any, marks: Any) -> None:
    before, along, behind = labels.shape
    ids, here = pointer(labels), pointer(marks)
    if behind == 1:  # neighbours are next to each other in memory: two loops that vectorise
        for b in range(before):
            row = b * along
            for x in range(row, row + along - 1):
                touch = (ids[x] != ids[x + 1]) & (ids[x] != background) & (ids[x + 1] != background)
                here[x] |= mark if touch else np.uint8(0)
            for x in range(row + 1, row + along):
                touch = (ids[x] != ids[x - 1]) & (ids[x] != background) & (ids[x - 1] != background)
                here[x] |= mark if touch else np.uint8(0)
        return
    for b in range(before):
        for i in range(1, along):
            high = (b * along + i) * behind
            low = high - behind
            for x in range(behind):
                one, other = ids[low + x], ids[high + x]
                touch = (one != other) & (one != background) & (other != background)
                change = mark if touch else np.uint8(0)
                here[low + x] |= change
                here[high + x] |= change


@kernel
def _tell(labels: Any, marks: Any, background: Any, table: Any, out: Any) -> None:
    inside, free, inside_edge, free_edge = table[0], table[1], table[2], table[3]
    for x in range(labels.size):
        nowhere = labels[x] == background
        edge = free_edge if nowhere else inside_edge
        plain = free if nowhere else inside
        out[x] = edge if marks[x] else plain
