"""Apply changes to an array: one pass for all changes of single values, one more for each mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..pointers import steps_are_items, unlocked
from ..runs import runs
from . import kernels
from .changes import Change, Pieces, Piecewise, Pointwise, packed, segments

__all__ = ["KNOWN", "changed", "finish", "flat_axes", "work_type"]

#: Types that kernels are compiled for; others are converted to what is computed in.
KNOWN = tuple(np.dtype(name) for name in ("u1", "u2", "f4", "f8"))

_AXES = 4


def work_type(data: np.dtype[Any], result: np.dtype[Any]) -> np.dtype[Any]:
    """The type to compute in: as wide as data and result need, at least float32.

    Examples
    --------
    >>> work_type(np.dtype("u2"), np.dtype("f4")), work_type(np.dtype("u4"), np.dtype("f4"))
    (dtype('float32'), dtype('float64'))
    """
    narrow = data.itemsize <= 2 or data == np.float32
    wide = result.kind == "f" and result.itemsize > 4
    return np.dtype(np.float32) if narrow and not wide else np.dtype(np.float64)


def changed(
    data: NDArray[Any],
    changes: Sequence[Change],
    dtype: DTypeLike,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """An array with changed values, as a new C-contiguous one or in `out`.

    Parameters
    ----------
    data
        real numbers, of any layout; read once.
    changes
        what to do, in this order.
    dtype
        of the result, of floating point.
    out
        where to, of the same shape and of that type.

    Examples
    --------
    >>> from voxflow.ops.values.changes import Clip, Scale
    >>> changed(np.array([0, 100, 200], "u1"), [Scale(1 / 100), Clip(0.0, 1.5)], "f4")
    array([0. , 1. , 1.5], dtype=float32)
    """
    result = np.dtype(dtype)
    work = work_type(data.dtype, result)
    (_, first), *rest = segments(changes)
    plain = out is not None and out.dtype == work and out.flags.c_contiguous
    made = out if plain and out is not None else np.empty(data.shape, work)
    _copy(data, made, first, work)
    finish(made, rest)
    if made is out or (out is None and work == result):
        return made
    if out is None:
        return made.astype(result)
    np.copyto(out, made, casting="same_kind")
    return out


def finish(
    made: NDArray[Any], rest: Sequence[tuple[Piecewise | None, Sequence[Pointwise]]]
) -> None:
    """Apply all segments after the first one, in place; `made` is C-contiguous."""
    flat, lanes = made.reshape(-1), np.zeros(kernels.LANES)
    for change, then in rest:
        if change is None:  # only the first segment has none
            continue
        steps = packed(then)
        done = 0
        for starts, length in runs(made.shape, change.pieces):
            end = done + len(starts)
            if isinstance(change, Pieces):
                each = change.steps.shape[-2]
                own = np.ascontiguousarray(change.steps.reshape(-1, 3 * each)[done:end])
                kernels.change_pieces(flat, starts, length, own, each, steps, len(steps))
            else:
                scale, shift = change.scale.reshape(-1), change.shift.reshape(-1)
                rule = scale[done:end], shift[done:end], steps, len(steps), lanes
                kernels.center(flat, starts, length, *rule)
            done = end


def _copy(
    data: NDArray[Any], out: NDArray[Any], changes: Sequence[Pointwise], work: np.dtype[Any]
) -> None:
    if not data.size:
        return
    native = data.dtype.newbyteorder("=")
    known = native if native in KNOWN else work
    source = data if data.dtype == known and steps_are_items(data) else data.astype(known)
    steps = packed(changes)
    shape = _merged(source)
    for part, target in _parts(source.reshape(shape), out.reshape(shape)):
        first, size, stride = flat_axes(part)
        to, _, step = flat_axes(target)
        row = np.empty(kernels.BLOCK, work)
        kernels.change(first, size, stride, to, step, row, steps, len(steps))


def _merged(data: NDArray[Any]) -> tuple[int, ...]:
    """The shape with neighbouring axes as one where memory goes on from one to the other."""
    shape: list[int] = []
    last = 0
    for n, stride in zip(data.shape, data.strides, strict=True):
        if shape and last == n * stride:
            shape[-1] *= n
        else:
            shape.append(n)
        last = stride
    return tuple(shape)


def _parts(source: NDArray[Any], out: NDArray[Any]) -> Any:
    """Parts of no more axes than a kernel has."""
    if source.ndim <= _AXES:
        yield source, out
    else:
        for part, target in zip(source, out, strict=True):
            yield from _parts(part, target)


def flat_axes(array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """The first element of an array, as a flat array, and shape and strides of four axes."""
    extra = _AXES - array.ndim
    shape = np.array((1,) * extra + array.shape, np.int64)
    stride = np.array([0] * extra + [s // array.itemsize for s in array.strides], np.int64)
    return unlocked(array[(slice(0, 1),) * array.ndim].reshape(1)), shape, stride
