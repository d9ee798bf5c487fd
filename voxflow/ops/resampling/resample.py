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

# Types that the linear kernels are compiled for; others are converted to what is computed in.
_KNOWN = [np.dtype(name) for name in ("u1", "u2", "f4", "f8")]

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
    _check_shapes(data, in_offset, voxel_size, out_offset, out_shape, ndim)
    _check_values(data, order, target, fill)
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


def _check_shapes(
    data: Array,
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
    if 0 in data.shape or min(out_shape) < 1:
        raise ValueError(
            f"there is nothing to resample from shape {data.shape} to {tuple(out_shape)}: "
            "both must have at least one voxel"
        )
    if np.prod([float(n) for n in data.shape[data.ndim - ndim :]]) >= _MAX_VOXELS:
        raise ValueError(
            f"data of shape {data.shape} have 2**32 voxels or more in their last {ndim} axes: "
            "resample them in blocks"
        )


def _check_values(data: Array, order: str, target: np.dtype[Any], fill: float) -> None:
    if order not in ("linear", "nearest"):
        raise ValueError(f"order is {order!r}; it can be 'linear' or 'nearest'")
    if order == "linear" and (data.dtype.kind not in "uif" or data.dtype.itemsize > 8):
        raise ValueError(
            f"data of type {data.dtype} cannot be interpolated linearly: "
            "use order='nearest' or convert to a real number type first"
        )
    if order == "nearest" and data.dtype.itemsize not in (1, 2, 4, 8):
        raise ValueError(
            f"values of type {data.dtype} cannot be moved: resample real and imaginary parts "
            "or fields one by one"
        )
    if target != data.dtype and (order == "nearest" or target.kind != "f" or target.itemsize > 8):
        raise ValueError(
            f"data of type {data.dtype} were asked for as {target}: only linear interpolation "
            "changes the type, and only to floats; leave dtype out and convert the result"
        )
    if not _fits(fill, target):
        raise ValueError(f"fill {fill!r} is not a value of type {target}")


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind in "fc":
        return True
    if dtype.kind == "b":
        return value in (0, 1)
    limits = np.iinfo(dtype) if dtype.kind in "ui" else None
    return limits is None or (limits.min <= value <= limits.max and value == int(value))


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
        view = np.pad(view, pads, constant_values=np.asarray(fill, volume.dtype))
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
    """Run the kernel that fits; `volume` has any leading axes and three spatial ones."""
    lead = volume.shape[: volume.ndim - NDIM]
    flat_shape = (int(np.prod(lead)), *volume.shape[-NDIM:])
    native = volume.dtype.newbyteorder("=")
    kept = kept_axis(program) if order == "linear" else None
    loop = [0, 1, 2] if kept is None else [kept[1], *(a for a in range(NDIM) if a != kept[1])]
    ordered = Stage(program[0].matrix[:, loop], program[0].shift)
    packed = pack([ordered, *program[1:]])
    out_shape = (flat_shape[0], *shape)
    n = out_shape[1 + loop[2]]
    if order == "nearest":
        bits = np.dtype(f"u{native.itemsize}")
        source = np.ascontiguousarray(volume, native).view(bits).reshape(flat_shape)
        out = np.empty(out_shape, bits)
        outside = np.array([fill], native).view(bits)[0]
        space = kernels.workspace(packed.ints, n, bits, np.float32)
        arrays = *_flat(source, [0, 1, 2]), *_flat(out, loop, True)
        kernels.nearest(*arrays, *packed, space, outside)
        return out.view(native).astype(target, copy=False).reshape(*lead, *shape)
    work = _work_type(native)
    known = native if native in _KNOWN else work
    source = np.ascontiguousarray(volume, known).reshape(flat_shape)
    out = np.empty(out_shape, target if target in (known, work) else work)
    space = kernels.workspace(packed.ints, n, known, work)
    arguments = (*_flat(source, [0, 1, 2]), *_flat(out, loop, True), *packed, space)
    rounded, outside = out.dtype.kind in "ui", out.dtype.type(fill)
    if kept is None:
        kernels.linear_volume(*arguments, rounded, outside)
    else:
        kernels.linear_sections(*arguments, kept[0], rounded, outside)
    return _cast(out, target).reshape(*lead, *shape)


def _cast(values: Array, target: np.dtype[Any]) -> Array:
    """Round to integers where they are asked for; what was rounded before stays as it is."""
    if target.kind not in "ui" or values.dtype.kind in "ui":
        return values.astype(target, copy=False)
    limits = np.iinfo(target)
    top = values.dtype.type(limits.max)
    if int(top) > limits.max:  # no float between: 2**63 and 2**64 do not fit
        top = np.nextafter(top, values.dtype.type(0))
    return np.clip(np.floor(values + 0.5), limits.min, top).astype(target)


def _flat(
    array: Array, order: Sequence[int], writeable: bool = False
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """An array without axes; its three spatial axes in `order`, then its leading one.

    Inputs are marked read-only, so that data that are so do not compile a kernel of their own.
    """
    axes = [1 + axis for axis in order] + [0]
    counts = np.array([array.shape[axis] for axis in axes], np.int64)
    steps = np.array([array.strides[axis] // array.itemsize for axis in axes], np.int64)
    flat = array.reshape(-1)
    flat.flags.writeable = writeable
    return flat, counts, steps


def _work_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which values of `dtype` are interpolated: wide enough to round correctly."""
    narrow = dtype.itemsize <= 2 or dtype == np.float32
    return np.dtype(np.float32) if narrow else np.dtype(np.float64)
