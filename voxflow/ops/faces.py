"""The faces between voxels of different labels: where they are, how far, and in which direction.

Distances are to the centres of faces, which lie half a voxel beside the grid of the voxels along
one axis. Faces normal to each axis go through the passes of `distances` on their own until the pass
along their axis, where they meet the others on a line of twice as many places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers
from .distances import TOGETHER, add_parabola
from .pointers import pointer

__all__ = ["face_distances", "faces", "gradient"]


def face_distances(
    labels: npt.NDArray[Any], voxel_size: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Euclidean distance of each voxel's centre to the nearest centre of a face between labels.

    A face lies between two neighbours along an axis that have different labels, of whichever
    objects. As the centre of the face counts, and not the whole face, distances are somewhat larger
    than those of ``distances(..., to="face")``.

    Parameters
    ----------
    labels
        Integer or bool, shape (\\*spatial), one or more axes.
    voxel_size
        World units, one entry per axis.

    Returns
    -------
    numpy.ndarray
        float32, of the labels' shape, world units; infinite where there is no face at all.

    Examples
    --------
    >>> face_distances(np.array([5, 5, 5, 7, 7, 0]), voxel_size=(10,))
    array([25., 15.,  5.,  5.,  5.,  5.], dtype=float32)
    """
    ids, size = as_integers(labels), tuple(float(length) for length in voxel_size)
    last = labels.ndim - 1
    found = np.empty(labels.shape, np.float32)
    if found.size == 0:
        return found
    _between(ids.reshape(-1, labels.shape[last]), size[last], found.reshape(-1, labels.shape[last]))
    beside = [np.empty(labels.shape, np.float32) for _ in range(last)]
    for axis, squared in enumerate(beside):
        rows = (math.prod(labels.shape[:axis]), labels.shape[axis], -1, labels.shape[last])
        _beside(ids.reshape(rows), size[last], squared.reshape(rows))
    for axis in range(last - 1, -1, -1):
        around = (math.prod(labels.shape[:axis]), labels.shape[axis], -1)
        faces_there = beside.pop().reshape(around)
        _along(found.reshape(around), faces_there, True, size[axis])
        for squared in beside:
            _along(squared.reshape(around), faces_there, False, size[axis])
    return np.sqrt(found, out=found)


def faces(labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Faces between labels on a grid of twice the resolution: 0 on a face, else 1.

    Voxel ``i`` is place ``2 * i``; the face to the next is place ``2 * i + 1``.

    Returns
    -------
    numpy.ndarray
        float32, twice as long as the labels along each axis.

    Examples
    --------
    >>> faces(np.array([5, 5, 7]))
    array([1., 1., 1., 0., 1., 1.], dtype=float32)
    """
    out = np.ones(tuple(2 * n for n in labels.shape), np.float32)
    for axis in range(labels.ndim):
        ahead = (slice(None),) * axis
        low, high = labels[(*ahead, slice(None, -1))], labels[(*ahead, slice(1, None))]
        place = [slice(None, None, 2)] * labels.ndim
        place[axis] = slice(1, -1, 2)
        out[tuple(place)] = low == high
    return out


def gradient(
    values: npt.NDArray[np.float32], voxel_size: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Differences per world unit along each axis, as `numpy.gradient` takes them.

    In the middle between both neighbours, at the border to the only one; 0 along an axis of length
    1.

    Returns
    -------
    numpy.ndarray
        float32, shape (axes, \\*spatial).

    Examples
    --------
    >>> gradient(np.array([0, 1, 4], np.float32), (2,))
    array([[0.5, 1. , 1.5]], dtype=float32)
    """
    out = np.empty((values.ndim, *values.shape), np.float32)
    for axis, size in enumerate(voxel_size):
        around = (math.prod(values.shape[:axis]), values.shape[axis], -1)
        if values.size:
            _differences(values.reshape(around), float(size), out[axis].reshape(around))
    return out


# Squared distances in world units. Face i of a line is the one above voxel i; the last has none.


@kernel
def _between(labels: Any, size: Any, squared: Any) -> None:
    """Along rows, to faces across them."""
    rows, along = labels.shape
    for r in range(rows):
        way = np.inf
        for x in range(along):
            way = 0.5 if x and labels[r, x] != labels[r, x - 1] else way + 1.0
            squared[r, x] = way * size * (way * size)
        way = np.inf
        for x in range(along - 1, -1, -1):
            way = 0.5 if x < along - 1 and labels[r, x] != labels[r, x + 1] else way + 1.0
            squared[r, x] = min(squared[r, x], np.float32(way * size * (way * size)))


@kernel
def _beside(labels: Any, size: Any, squared: Any) -> None:
    """Along rows, to faces beside them: between the row and the next along another axis."""
    before, rows, middle, along = labels.shape
    for b in range(before):
        for i in range(rows):
            for m in range(middle):
                if i == rows - 1:
                    squared[b, i, m, :] = np.inf
                    continue
                way = np.inf
                for x in range(along):
                    face = labels[b, i, m, x] != labels[b, i + 1, m, x]
                    way = 0.0 if face else way + 1.0
                    squared[b, i, m, x] = way * size * (way * size)
                way = np.inf
                for x in range(along - 1, -1, -1):
                    way = 0.0 if squared[b, i, m, x] == 0 else way + 1.0
                    there = np.float32(way * size * (way * size))
                    squared[b, i, m, x] = min(squared[b, i, m, x], there)


@kernel
def _along(squared: Any, faces: Any, with_faces: Any, size: Any) -> None:
    """Lower squared distances along the middle axis, some lines at a time.

    Places are in halves of a voxel; the faces lie at the odd ones.
    """
    before, along, behind = squared.shape
    near = np.empty((TOGETHER, along), np.float32)
    across = np.empty((TOGETHER, along), np.float32)
    envelope, inverse = np.empty(3 * (2 * along + 2) + 1), np.empty(2 * along + 2)
    for x in range(1, 2 * along + 2):
        inverse[x] = 0.5 / x
    half = size / 2
    for b in range(before):
        for first in range(0, behind, TOGETHER):
            many = min(TOGETHER, behind - first)
            for x in range(along):
                for j in range(many):
                    near[j, x] = squared[b, x, first + j]
                    across[j, x] = faces[b, x, first + j] if with_faces else np.inf
            for j in range(many):
                room = pointer(envelope), pointer(inverse), half * half
                _line(pointer(near[j]), pointer(across[j]), along, room)
            for x in range(along):
                for j in range(many):
                    squared[b, x, first + j] = near[j, x]


@kernel
def _line(near: Any, across: Any, along: int, room: Any) -> None:
    envelope, _, square = room
    count = 0
    for x in range(along):
        count = add_parabola(2.0 * x, near[x], count, room)
        count = add_parabola(2.0 * x + 1.0, across[x], count, room)
    if count == 0:
        return
    envelope[3 * count] = np.inf
    k = 0
    for x in range(along):
        while envelope[k + 3] < 2.0 * x:
            k += 3
        way = 2.0 * x - envelope[k + 1]
        near[x] = min(near[x], np.float32(way * way * square + envelope[k + 2]))


@kernel
def _differences(values: Any, size: Any, out: Any) -> None:
    before, along, behind = values.shape
    for b in range(before):
        for i in range(along):
            low, high = max(i - 1, 0), min(i + 1, along - 1)
            way = max(high - low, 1) * size
            for x in range(behind):
                out[b, i, x] = (values[b, high, x] - values[b, low, x]) / way
