"""Move an array through a map: exact views where nothing need be interpolated, else one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import kernels
from .program import NDIM, build, exact_moves, kept_axis, lift, pack
from .stages import Stage, scaling

Order = Literal["linear", "nearest"]
Array = NDArray[Any]

_MAX_VOXELS = 2**32  # indices within one leading element are 32 bits wide


def resample(
    stages: Sequence[Stage],
    ndim: int,
    data: Array,
    in_offset: Sequence[Any],
    voxel_size: Sequence[Any],
    out_offset: Sequence[Any],
    out_shape: Sequence[int],
    *,
    order: Order = "linear",
    fill: float = 0,
    dtype: DTypeLike | None = None,
) -> Array:
    """What `data` looks like through a map; see `Map.resample`, which says it all."""
    data = np.asarray(data)
    target = data.dtype if dtype is None else np.dtype(dtype)
    _check(data, order, target, in_offset, voxel_size, out_offset, out_shape, ndim)
    extra = len(out_shape) - ndim
    if extra:
        data = _crop_passive(data, extra, in_offset, voxel_size, out_offset, out_shape)
    out_origin = np.array([float(v) for v in out_offset[extra:]])
    in_origin = [float(v) for v in in_offset[extra:]]
    size = lift([float(v) for v in voxel_size[extra:]], 1.0)
    origin = lift(in_origin, 0.0)
    between = lift([float(v) for v in out_origin - in_origin], 0.0)
    program = build(stages, origin, scaling(size, between + 0.5 * size), size)
    shape = [1] * (NDIM - ndim) + [int(n) for n in out_shape[extra:]]
    lead = data.shape[: data.ndim - ndim]
    volume = data.reshape(*lead, *[1] * (NDIM - ndim), *data.shape[data.ndim - ndim :])
    moves = exact_moves(program)
    if moves is not None:
        result = _move(volume, *moves, shape, fill).astype(target, copy=False)
    else:
        result = _interpolate(volume, program, shape, order, fill, target)
    return result.reshape(*lead, *shape[NDIM - ndim :])


def _check(
    data: Array,
    order: str,
    target: np.dtype[Any],
    in_offset: Sequence[Any],
    voxel_size: Sequence[Any],
    out_offset: Sequence[Any],
    out_shape: Sequence[int],
    ndim: int,
) -> None:
    lengths = {len(in_offset), len(voxel_size), len(out_offset), len(out_shape)}
    if len(lengths) != 1 or data.ndim < len(out_shape) or len(out_shape) < ndim:
        raise ValueError(
            f"a map of {ndim} axes was asked to resample data of shape {data.shape}, with offsets "
            f"{tuple(in_offset)} and {tuple(out_offset)}, voxel size {tuple(voxel_size)} and "
            f"output shape {tuple(out_shape)}: give the last four the same length, at "
            f"least {ndim} and at most the number of axes of the data"
        )
    if order not in ("linear", "nearest"):
        raise ValueError(f"order is {order!r}; it can be 'linear' or 'nearest'")
    if order == "linear" and (data.dtype.kind not in "uif" or target.kind not in "uif"):
        raise ValueError(
            f"data of type {data.dtype} (asked for as {target}) cannot be interpolated linearly: "
            "use order='nearest' or convert to a real number type first"
        )
    if order == "nearest" and target != data.dtype:
        raise ValueError(
            f"order='nearest' keeps the data type {data.dtype}, but {target} was asked for: "
            "leave dtype out and convert the result"
        )
    if 0 in data.shape[data.ndim - len(out_shape) :]:
        raise ValueError(f"there is nothing to resample in data of shape {data.shape}")
    if np.prod([float(n) for n in data.shape[data.ndim - ndim :]]) >= _MAX_VOXELS:
        raise ValueError(
            f"data of shape {data.shape} has 2**32 voxels or more in its last {ndim} axes: "
            "resample it in blocks"
        )


def _crop_passive(
    data: Array,
    extra: int,
    in_offset: Sequence[Any],
    voxel_size: Sequence[Any],
    out_offset: Sequence[Any],
    out_shape: Sequence[int],
) -> Array:
    """Crop the leading spatial axes, which the map does not know, to the output."""
    first = data.ndim - len(out_shape)
    slices = [slice(None)] * data.ndim
    for axis in range(extra):
        steps = (out_offset[axis] - in_offset[axis]) / voxel_size[axis]
        begin = round(float(steps))
        end = begin + int(out_shape[axis])
        there = data.shape[first + axis]
        if abs(float(steps) - begin) > 1e-6 or begin < 0 or end > there:
            raise ValueError(
                f"the map leaves spatial axis {axis} alone; voxels {float(steps):g} to "
                f"{float(steps) + int(out_shape[axis]):g} along it were asked for, but the data "
                f"has voxels 0 to {there}: ask for a region on its grid and within it"
            )
        slices[first + axis] = slice(begin, end)
    return data[tuple(slices)]


def _move(
    volume: Array,
    matrix: NDArray[np.int64],
    shift: NDArray[np.int64],
    shape: Sequence[int],
    fill: float,
) -> Array:
    """Flip, transpose and crop; a view unless something lies outside the data."""
    lead = volume.ndim - NDIM
    takes = [0] * NDIM  # the input axis that each output axis shows
    slices, pads = [slice(None)] * lead, [(0, 0)] * lead
    for axis in range(NDIM):
        out_axis = int(np.flatnonzero(matrix[axis])[0])
        takes[out_axis] = axis
        n, there, sign = shape[out_axis], volume.shape[lead + axis], int(matrix[axis, out_axis])
        begin = int(shift[axis]) if sign > 0 else int(shift[axis]) - (n - 1)
        low, high = min(max(begin, 0), there), min(max(begin + n, 0), there)
        before = min(max(low - begin, 0), n) if high > low else n
        pad = (before, n - before - (high - low))
        slices.append(slice(low, high) if sign > 0 else _backwards(low, high))
        pads.append(pad if sign > 0 else (pad[1], pad[0]))
    view = volume[tuple(slices)]
    if any(pad != (0, 0) for pad in pads):
        view = np.pad(view, pads, constant_values=np.asarray(fill).astype(volume.dtype))
    return view.transpose(*range(lead), *[lead + axis for axis in takes])


def _backwards(low: int, high: int) -> slice:
    """The voxels `low` to `high` (exclusive), last one first."""
    if high <= low:
        return slice(low, low)
    return slice(high - 1, low - 1 if low > 0 else None, -1)


def _interpolate(
    volume: Array,
    program: Sequence[Stage],
    shape: Sequence[int],
    order: Order,
    fill: float,
    target: np.dtype[Any],
) -> Array:
    lead = volume.shape[: volume.ndim - NDIM]
    kept = kept_axis(program) if order == "linear" else None
    loop = [0, 1, 2] if kept is None else [kept[1], *(a for a in range(NDIM) if a != kept[1])]
    first = program[0]
    ordered = Stage(first.matrix[:, loop], first.shift)
    packed = pack([ordered, *program[1:]])
    n_lead = int(np.prod(lead))
    out = np.empty((n_lead, *shape), target)
    source = _layout(volume, n_lead)
    flat, size, stride = _flat(source, [0, 1, 2])
    tables = packed.tables
    if order == "nearest":
        bits = np.dtype(f"u{target.itemsize}") if target.itemsize <= 8 else target
        to, counts, steps = _flat(out.view(bits), loop)
        outside = np.asarray(fill).astype(target).view(bits)[()]
        kernels.nearest(_frozen(flat.view(bits)), size, stride, to, counts, steps, *tables, outside)
        return out.reshape(*lead, *shape)
    work = _work_type(source.dtype)
    result = out if target != np.float16 else np.empty(out.shape, np.float32)
    to, counts, steps = _flat(result, loop)
    arguments = (_frozen(flat), size, stride, to, counts, steps, *tables)
    scratch = np.zeros(9 * counts[2], work)
    rounded = target.kind in "ui"
    value = result.dtype.type(fill)
    if kept is None:
        kernels.linear_volume(*arguments, scratch, rounded, value)
    else:
        kernels.linear_sections(*arguments, scratch, kept[0], rounded, value)
    return result.astype(target, copy=False).reshape(*lead, *shape)


def _layout(volume: Array, n_lead: int) -> Array:
    """One leading axis, contiguous, in native byte order and of a type that the kernels know."""
    native = volume.dtype.newbyteorder("=")
    if native == np.float16:
        native = np.dtype(np.float32)
    return np.ascontiguousarray(volume, native).reshape(n_lead, *volume.shape[-NDIM:])


def _flat(array: Array, order: Sequence[int]) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """An array without axes; its three spatial axes in `order`, then its leading one."""
    axes = [1 + axis for axis in order] + [0]
    counts = np.array([array.shape[axis] for axis in axes], np.int64)
    steps = np.array([array.strides[axis] // array.itemsize for axis in axes], np.int64)
    return array.reshape(-1), counts, steps


def _frozen(flat: Array) -> Array:
    """A read-only view, so that read-only data do not compile a kernel of their own."""
    view = flat.view()
    view.flags.writeable = False
    return view


def _work_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which values of `dtype` are interpolated: wide enough to round correctly."""
    narrow = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32) if narrow else np.dtype(np.float64)
