"""Grow a boundary of background between objects, by eroding all of them at once.

Eroding each label by itself costs one pass per label and step. The same result follows from
distances: a voxel leaves its object if a voxel of another value (background is one) lies within
`steps` moves along the axes. Without a mask such a voxel shows up as a pair of unequal neighbours
on the way, so it is enough to mark those pairs and to let the marks spread. The arrays are worked
through in slabs, so that what is needed in between stays in the cache.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.ops.affinities import as_integers
from voxflow.pipeline.compiled import kernel

__all__ = ["grow_boundary"]

SLAB_VOXELS = 1 << 21
MAX_STEPS = 255


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
    split = labels.ndim - 2 if only_xy else 0
    sections = math.prod(labels.shape[:split])
    shape = labels.shape[split:] if labels.ndim else (1,)
    known = None if mask is None else as_integers(mask != 0)
    blocks = source.reshape((sections, *shape))
    targets = out.reshape(blocks.shape)
    for section in range(sections):
        part = None if known is None else known.reshape(blocks.shape)[section]
        _erode(blocks[section], targets[section], part, steps, value)
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


def _erode(
    labels: npt.NDArray[Any],
    out: npt.NDArray[Any],
    known: npt.NDArray[Any] | None,
    steps: int,
    background: Any,
) -> None:
    """Erode one section, slab by slab along its first axis."""
    if not labels.size:
        return
    size = labels.shape[0]
    thickness = max(4 * steps, SLAB_VOXELS // (labels.size // size) - 2 * steps, 1)
    for begin in range(0, size, thickness):
        end = min(begin + thickness, size)
        low, high = max(begin - steps, 0), min(end + steps, size)
        slab = labels[low:high]
        if steps == 0:
            lost = np.zeros(slab.shape, dtype=np.uint8)
        elif known is None:
            lost = _lost(slab, steps)
        else:
            lost = _lost_masked(slab, known[low:high], steps, background)
        inner = slice(begin - low, end - low)
        _select(
            slab[inner].reshape(-1), lost[inner].reshape(-1), background, out[begin:end].reshape(-1)
        )


def _lost(labels: npt.NDArray[Any], steps: int) -> npt.NDArray[np.uint8]:
    """Nonzero where a voxel of another value is at most `steps` away.

    A mark of n spreads n - 1 moves further. Distances along the axes add up, so spreading along
    one axis after the other is exact.
    """
    marks = np.zeros(labels.shape, dtype=np.uint8)
    for axis in range(labels.ndim):
        view = _around(labels.shape, axis)
        _mark_unequal(labels.reshape(view), np.uint8(steps), marks.reshape(view))
    if steps > 1:
        for axis in range(labels.ndim):
            _spread(marks.reshape(_around(labels.shape, axis)), steps)
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
        for axis in range(labels.ndim):
            view = _around(labels.shape, axis)
            _join(
                old_seen.reshape(view),
                old_which.reshape(view),
                seen.reshape(view),
                which.reshape(view),
            )
    seen //= 2
    return seen


def _around(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """The shape with all axes before and all axes behind one axis made one."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


# All arrays below are C-contiguous. Arrays of three axes are (before, along, behind); the innermost
# loops run over `behind`, or along the axis itself where nothing is behind it, and vectorise.


@kernel
def _mark_unequal(labels: Any, mark: Any, marks: Any) -> None:
    before, along, behind = labels.shape
    for b in range(before):
        if behind == 1:
            row, here = labels[b].reshape(along), marks[b].reshape(along)
            for i in range(along):
                unequal = (i > 0 and row[i] != row[i - 1]) or (
                    i + 1 < along and row[i] != row[i + 1]
                )
                if unequal:
                    here[i] = mark
            continue
        for i in range(1, along):
            low, high = labels[b, i - 1], labels[b, i]
            low_marks, high_marks = marks[b, i - 1], marks[b, i]
            for x in range(behind):
                change = mark if low[x] != high[x] else np.uint8(0)
                low_marks[x] |= change
                high_marks[x] |= change


@kernel
def _spread(marks: Any, steps: Any) -> None:
    before, along, behind = marks.shape
    for b in range(before):
        if behind == 1:
            row = marks[b].reshape(along)
            for i in range(1, along):
                if row[i - 1] > row[i]:
                    row[i] = row[i - 1] - 1
            for i in range(along - 2, -1, -1):
                if row[i + 1] > row[i]:
                    row[i] = row[i + 1] - 1
            continue
        for i in range(1, along):
            low, high = marks[b, i - 1], marks[b, i]
            for x in range(behind):
                high[x] = max(high[x], np.uint8(low[x] - (low[x] > 0)))
        for i in range(along - 2, -1, -1):
            low, high = marks[b, i], marks[b, i + 1]
            for x in range(behind):
                low[x] = max(low[x], np.uint8(high[x] - (high[x] > 0)))


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
