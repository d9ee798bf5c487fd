"""Grow a boundary of background between objects, by eroding all of them at once.

Eroding each label by itself costs one pass per label and step. The same result follows from
distances: a voxel leaves its object if a voxel of another value (background is one) lies within
`steps` moves along the axes. Without a mask such a voxel shows up as a pair of unequal neighbours
on the way, so it is enough to mark those pairs and to let the marks spread. The arrays are worked
through in slabs, so that what is needed in between stays in the second-level cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .affinities import as_integers
from .pointers import pointer

__all__ = ["grow_boundary"]

SLAB_VOXELS = 1 << 17
MAX_STEPS = 255
FEW_STEPS = 8


def grow_boundary(
    labels: npt.NDArray[Any],
    steps: int,
    background: int = 0,
    only_xy: bool = False,
    mask: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """Erode every object by `steps` voxels; the voxels set free become background.

    Equal, voxel by voxel, to eroding each label but the background with a cross-shaped element
    `steps` times (``scipy.ndimage.binary_erosion(labels == id, iterations=steps,
    border_value=1)``) and keeping what is left in any of them. The array border counts as inside:
    nothing is eroded there. Masked voxels count as part of whichever object is eroded, so that no
    boundary grows at the edge of an unknown region.

    Parameters
    ----------
    labels
        Integer or bool, shape (\\*spatial).
    steps
        Voxels taken away on each side, 0 to 255.
    background
        The value of free voxels.
    only_xy
        Treat each plane of the last two axes by itself; the axes before are leading ones.
    mask
        Zero: the label is unknown. Same shape as the labels.

    Returns
    -------
    numpy.ndarray
        A new array of the labels' shape and dtype.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype.
    ValueError
        `steps` or `background` is out of range, the mask has another shape, or `only_xy` is asked
        of fewer than two axes.

    Examples
    --------
    >>> grow_boundary(np.array([5, 5, 5, 5, 7, 7, 7, 7]), steps=2)
    array([5, 5, 0, 0, 0, 0, 7, 7])
    >>> grow_boundary(np.array([5, 5, 5, 7, 7, 7]), 1, mask=np.array([1, 1, 0, 0, 1, 1]))
    array([5, 5, 5, 7, 7, 7])
    """
    _check(labels, steps, background, only_xy, mask)
    source = as_integers(labels)
    value = source.dtype.type(background)
    out = np.empty(labels.shape, dtype=source.dtype)
    known = None if mask is None else as_integers(mask != 0)
    first = labels.ndim - 2 if only_xy else 0
    for part in slabs(labels.shape, first, steps):
        _erode(source, out, known, steps, value, first, part)
    return out.view(labels.dtype) if labels.dtype == bool else out


def _check(
    labels: npt.NDArray[Any],
    steps: int,
    background: int,
    only_xy: bool,
    mask: npt.NDArray[Any] | None,
) -> None:
    if not 0 <= steps <= MAX_STEPS:
        raise ValueError(f"steps is between 0 and {MAX_STEPS} voxels; got {steps}")
    if only_xy and labels.ndim < 2:
        raise ValueError(f"only_xy needs two or more axes; the labels have shape {labels.shape}")
    if mask is not None and mask.shape != labels.shape:
        raise ValueError(
            f"the mask has shape {mask.shape}, the labels {labels.shape}; "
            "they have to cover the same voxels"
        )
    if np.issubdtype(labels.dtype, np.integer):
        info = np.iinfo(labels.dtype)
        if not info.min <= background <= info.max:
            raise ValueError(f"background {background} does not fit into {labels.dtype}")


def slabs(shape: tuple[int, ...], first: int, steps: int) -> Iterator[_Slab]:
    """Pieces that go through one after the other; `first` is the first axis to erode along."""
    if 0 in shape:
        return
    section = math.prod(shape[first:])
    if first and section <= SLAB_VOXELS:  # as many whole sections as fit
        count, several = math.prod(shape[:first]), max(SLAB_VOXELS // section, 1)
        for begin in range(0, count, several):
            yield _Slab(begin, min(begin + several, count), 0, shape[first], 0, shape[first])
        return
    size = shape[first] if shape else 1
    thickness = max(4 * steps, SLAB_VOXELS // (section // size) - 2 * steps, 1)
    for number in range(math.prod(shape[:first])):
        for begin in range(0, size, thickness):
            end = min(begin + thickness, size)
            low, high = max(begin - steps, 0), min(end + steps, size)
            yield _Slab(number, number + 1, low, high, begin, end)


class _Slab(NamedTuple):
    """Sections, and what of their first axis is looked at and what of it is made."""

    section: int
    last: int
    low: int
    high: int
    begin: int
    end: int


def _erode(
    labels: npt.NDArray[Any],
    out: npt.NDArray[Any],
    known: npt.NDArray[Any] | None,
    steps: int,
    background: Any,
    first: int,
    part: _Slab,
) -> None:
    sections, look = slice(part.section, part.last), slice(part.low, part.high)
    shape = (-1, *(labels.shape[first:] or (1,)))
    slab = labels.reshape(shape)[sections, look]
    if steps == 0:
        lost = np.zeros(slab.shape, dtype=np.uint8)
    elif known is None:
        lost = _lost(slab, steps)
    else:
        lost = _lost_masked(slab, known.reshape(shape)[sections, look], steps, background)
    inner = slice(part.begin - part.low, part.end - part.low)
    target = out.reshape(shape)[sections, part.begin : part.end]
    _select(slab[:, inner].reshape(-1), lost[:, inner].reshape(-1), background, target.reshape(-1))


def _lost(labels: npt.NDArray[Any], steps: int) -> npt.NDArray[np.uint8]:
    """Nonzero where a voxel of another value is at most `steps` away.

    A mark of n spreads n - 1 moves further. Distances along the axes add up, so spreading along
    one axis after the other is exact.
    """
    marks = np.zeros(labels.shape, dtype=np.uint8)
    for axis in range(1, labels.ndim):
        view = around_axis(labels.shape, axis)
        mark_unequal(labels.reshape(view), np.uint8(steps), marks.reshape(view))
    if steps > 1:
        for axis in range(1, labels.ndim):
            spread(marks.reshape(around_axis(labels.shape, axis)), steps)
    return marks


def _lost_masked(
    labels: npt.NDArray[Any], known: npt.NDArray[Any], steps: int, background: Any
) -> npt.NDArray[np.uint8]:
    """Nonzero where the known voxels within `steps` are not all of one object.

    Each voxel holds what it has seen so far: nothing (0), one object (1, and which), or more than
    that (2; background counts at once). In each step it joins what its neighbours have seen.
    """
    seen = np.zeros(labels.shape, dtype=np.uint8)
    _first_sight(labels.reshape(-1), known.reshape(-1), background, seen.reshape(-1))
    which = labels.copy()
    for _ in range(steps):
        old_seen, old_which = seen.copy(), which.copy()
        for axis in range(1, labels.ndim):
            view = around_axis(labels.shape, axis)
            _join(
                old_seen.reshape(view),
                old_which.reshape(view),
                seen.reshape(view),
                which.reshape(view),
            )
    seen //= 2
    return seen


def around_axis(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The shape with all axes before and all axes behind one axis made one."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


# All arrays below are C-contiguous. Arrays of three axes are (before, along, behind); the innermost
# loops run over `behind`, or along the axis itself where nothing is behind it, and vectorise.


@kernel
def mark_unequal(labels: Any, mark: Any, marks: Any) -> None:
    before, along, behind = labels.shape
    ids, here = pointer(labels), pointer(marks)
    if behind == 1:
        for b in range(before):
            row = b * along
            for x in range(row, row + along - 1):
                here[x] |= mark if ids[x] != ids[x + 1] else np.uint8(0)
            for x in range(row + 1, row + along):
                here[x] |= mark if ids[x] != ids[x - 1] else np.uint8(0)
        return
    for b in range(before):
        for i in range(1, along):
            high = (b * along + i) * behind
            low = high - behind
            for x in range(behind):
                change = mark if ids[low + x] != ids[high + x] else np.uint8(0)
                here[low + x] |= change
                here[high + x] |= change


@kernel
def spread(marks: Any, steps: Any) -> None:
    before, along, behind = marks.shape
    here = pointer(marks)
    if behind == 1:
        room = np.empty(along, np.uint8)
        for b in range(before):
            _spread_row(here, b * along, along, steps, pointer(room))
        return
    for b in range(before):
        for i in range(1, along):
            high = (b * along + i) * behind
            low = high - behind
            for x in range(behind):
                here[high + x] = max(here[high + x], _less(here[low + x]))
        for i in range(along - 1, 0, -1):
            high = (b * along + i) * behind
            low = high - behind
            for x in range(behind):
                here[low + x] = max(here[low + x], _less(here[high + x]))


@kernel
def _spread_row(marks: Any, first: int, n: int, steps: int, room: Any) -> None:
    """Spread along the last axis: few steps together for many voxels, many one after the other."""
    if steps > FEW_STEPS:
        for x in range(first + 1, first + n):
            marks[x] = max(marks[x], _less(marks[x - 1]))
        for x in range(first + n - 2, first - 1, -1):
            marks[x] = max(marks[x], _less(marks[x + 1]))
        return
    for _ in range(1, steps):
        for x in range(n):
            room[x] = _less(marks[first + x])
        for x in range(1, n):
            marks[first + x] = max(marks[first + x], room[x - 1])
        for x in range(n - 1):
            marks[first + x] = max(marks[first + x], room[x + 1])


@kernel
def _less(mark: Any) -> Any:
    return np.uint8(mark - (mark > 0))


@kernel
def _first_sight(labels: Any, known: Any, background: Any, seen: Any) -> None:
    for x in range(labels.size):
        if known[x]:
            seen[x] = 2 if labels[x] == background else 1


@kernel
def _join(old_seen: Any, old_which: Any, seen: Any, which: Any) -> None:
    before, along, behind = seen.shape
    for b in range(before):
        for i in range(along):
            for j in (i - 1, i + 1):
                if not 0 <= j < along:
                    continue
                for x in range(behind):
                    theirs, ours = old_seen[b, j, x], seen[b, i, x]
                    if theirs == 0 or ours == 2:
                        continue
                    if ours == 0:
                        seen[b, i, x] = theirs
                        which[b, i, x] = old_which[b, j, x]
                    elif theirs == 2 or old_which[b, j, x] != which[b, i, x]:
                        seen[b, i, x] = 2


@kernel
def _select(labels: Any, lost: Any, background: Any, out: Any) -> None:
    for x in range(labels.size):
        out[x] = background if lost[x] else labels[x]
