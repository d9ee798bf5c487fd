"""Distances to the boundary of the object that a voxel belongs to, for all objects at once.

Squared distances are the lower envelope of parabolas, one for each voxel of a line, along one axis
after the other (Felzenszwalb and Huttenlocher, "Distance Transforms of Sampled Functions", Theory
of Computing 8, 2012). A line is cut where its label changes: what lies beyond the cut is at least
as far away as the cut, so the objects do not need passes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers
from .pointers import pointer

__all__ = ["distances"]

# Lines across the memory are worked through so many at a time: a cache line of float32.
TOGETHER = 16


def distances(
    labels: npt.NDArray[Any],
    voxel_size: Sequence[float] | None = None,
    background: int = 0,
    to: Literal["voxel", "face"] = "voxel",
    sections: bool = False,
    signed: bool = False,
    border: bool = False,
) -> npt.NDArray[np.float32]:
    """Euclidean distance of each voxel's centre to the boundary of its own object.

    With ``to="voxel"`` the distance is to the centre of the nearest voxel that is not of the
    object, as in ``scipy.ndimage.distance_transform_edt(labels == id, sampling=voxel_size)`` and
    in the library edt: next to a boundary it is one voxel. With ``to="face"`` it is to the nearest
    point of the surface of the object, which lies between the voxels: next to a boundary it is
    half a voxel.

    Parameters
    ----------
    labels
        Integer or bool, shape (\\*spatial), one or more axes.
    voxel_size
        World units, one entry per axis of the labels. None: 1 along each axis.
    background
        The value of free voxels.
    to
        Where the boundary lies: at the centre of the nearest voxel of another value, or at the
        face between.
    sections
        Look only within planes of the last two axes.
    signed
        Background voxels get minus their distance to the nearest object. Otherwise they get 0.
    border
        Objects end at the border of the array. Otherwise they are taken to go on.

    Returns
    -------
    numpy.ndarray
        float32, shape (\\*spatial), world units; infinite where there is no boundary.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype.
    ValueError
        The labels have too few axes, `voxel_size` does not have an entry above 0 for each of them,
        `background` does not fit into their dtype, or `to` is neither of the two.

    Examples
    --------
    >>> distances(np.array([5, 5, 5, 7, 7, 0]), voxel_size=(10,))
    array([30., 20., 10., 10., 10.,  0.], dtype=float32)
    >>> distances(np.array([5, 5, 5, 7, 7, 0]), voxel_size=(10,), to="face", signed=True)
    array([25., 15.,  5.,  5.,  5., -5.], dtype=float32)
    """
    _check(labels, background, to, sections)
    size = _voxel_size(labels, voxel_size)
    ids = as_integers(labels)
    value, face = ids.dtype.type(background), to == "face"
    out = np.empty(labels.shape, dtype=np.float32)
    if out.size == 0:
        return out
    last = labels.ndim - 1
    rows = ids.reshape(-1, labels.shape[last])
    _along_rows(rows, out.reshape(rows.shape), size[last], value, face, signed, border)
    for axis in range(last - 1, last - 2 if sections else -1, -1):
        around = (math.prod(labels.shape[:axis]), labels.shape[axis], -1)
        lines, found = ids.reshape(around), out.reshape(around)
        _along(lines, found, size[axis], value, face, signed, border)
    _roots(ids.reshape(-1), value, signed, out.reshape(-1))
    return out


def _check(labels: npt.NDArray[Any], background: int, to: str, sections: bool) -> None:
    least = 2 if sections else 1
    if labels.ndim < least:
        what = "sections have" if sections else "distances are along"
        raise ValueError(f"{what} {least} or more axes; the labels have shape {labels.shape}")
    if to not in ("voxel", "face"):
        raise ValueError(f'distances are to the nearest "voxel" or "face"; got {to!r}')
    if labels.dtype.kind in "uib":
        info = np.iinfo(np.uint8 if labels.dtype == bool else labels.dtype)
        if not info.min <= background <= info.max:
            raise ValueError(f"background {background} does not fit into {labels.dtype}")


def _voxel_size(labels: npt.NDArray[Any], voxel_size: Sequence[float] | None) -> tuple[float, ...]:
    if voxel_size is None:
        return (1.0,) * labels.ndim
    size = tuple(float(length) for length in voxel_size)
    if len(size) != labels.ndim or not all(0 < length < math.inf for length in size):
        raise ValueError(
            f"voxel_size {size} needs a length above 0 for each of the {labels.ndim} axes of the "
            f"labels, whose shape is {labels.shape}"
        )
    return size


# Along a line, places are in voxels and squared distances in world units. An open end of a line has
# no boundary.


@kernel
def _along_rows(
    labels: Any, squared: Any, size: Any, background: Any, face: Any, signed: Any, border: Any
) -> None:
    """Squared distances along the last axis, where no others are known."""
    rows, along = labels.shape
    nearer = 0.5 if face else 0.0
    for r in range(rows):
        begin = 0
        while begin < along:
            value, end = labels[r, begin], begin + 1
            while end < along and labels[r, end] == value:
                end += 1
            free = value == background
            closed = border and not free
            low = begin - 1 if begin > 0 or closed else -np.inf
            high = end if end < along or closed else np.inf
            for x in range(begin, end):
                way = (min(x - low, high - x) - nearer) * size
                squared[r, x] = 0.0 if free and not signed else way * way
            begin = end


@kernel
def _along(
    labels: Any, squared: Any, size: Any, background: Any, face: Any, signed: Any, border: Any
) -> None:
    """Lower squared distances along the middle axis, on copies of some lines at a time."""
    before, along, behind = labels.shape
    ids = np.empty((TOGETHER, along), labels.dtype)
    near = np.empty((TOGETHER, along), np.float32)
    envelope, inverse = np.empty(3 * (along + 2) + 1), np.empty(along + 2)
    for x in range(1, along + 2):
        inverse[x] = 0.5 / x
    rule = background, face, signed, border
    for b in range(before):
        for first in range(0, behind, TOGETHER):
            many = min(TOGETHER, behind - first)
            for x in range(along):
                for j in range(many):
                    ids[j, x] = labels[b, x, first + j]
                    near[j, x] = squared[b, x, first + j]
            for j in range(many):
                # Pointers are made where they are used: numba frees an array after its last use.
                room = pointer(envelope), pointer(inverse), size * size
                _line(pointer(ids[j]), pointer(near[j]), along, rule, room)
            for x in range(along):
                for j in range(many):
                    squared[b, x, first + j] = near[j, x]


@kernel
def _line(ids: Any, near: Any, along: int, rule: Any, room: Any) -> None:
    background, face, signed, border = rule
    begin = 0
    while begin < along:
        value, end = ids[begin], begin + 1
        while end < along and ids[end] == value:
            end += 1
        free = value == background
        if signed or not free:
            closed = border and not free
            _lower(near, begin, end, begin > 0 or closed, end < along or closed, face, room)
        begin = end


@kernel
def _lower(near: Any, begin: int, end: int, low: Any, high: Any, face: Any, room: Any) -> None:
    """Lower squared distances to the lower envelope of the parabolas that stand on them.

    What a voxel offers to the others of its line it offers at its faces, if these count.
    """
    half, count = 0.5 if face else 0.0, 0
    envelope, _, square = room
    if low:
        count = add_parabola(begin - 1 + half, 0.0, count, room)
    if face:
        for x in range(begin + 1, end):
            count = add_parabola(x - 0.5, min(near[x - 1], near[x]), count, room)
    else:
        for x in range(begin, end):
            count = add_parabola(float(x), near[x], count, room)
    if high:
        count = add_parabola(end - half, 0.0, count, room)
    if count == 0:
        return
    envelope[3 * count] = np.inf
    k = 0
    for x in range(begin, end):
        while envelope[k + 3] < x:
            k += 3
        way = x - envelope[k + 1]
        near[x] = min(near[x], np.float32(way * way * square + envelope[k + 2]))


@kernel
def add_parabola(center: Any, height: Any, count: int, room: Any) -> int:
    """Put a parabola on the envelope, take off those that it hides.

    The envelope holds for each parabola from where on it is the lowest, its centre, its height.
    """
    if height == np.inf:
        return count
    envelope, inverse, square = room
    start = -np.inf
    while count:
        top = 3 * count - 3
        apart, both = center - envelope[top + 1], center + envelope[top + 1]
        start = ((height - envelope[top + 2]) / square + apart * both) * inverse[np.intp(apart)]
        if start > envelope[top]:
            break
        count -= 1
        start = -np.inf
    envelope[3 * count] = start
    envelope[3 * count + 1] = center
    envelope[3 * count + 2] = height
    return count + 1


@kernel
def _roots(labels: Any, background: Any, signed: Any, out: Any) -> None:
    for x in range(labels.size):
        root = np.sqrt(out[x])
        out[x] = -root if signed and labels[x] == background else root
