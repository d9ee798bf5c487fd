"""Move an array through a map: exact views where nothing need be interpolated, else one kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..holds import holds
from ..mirrored import mirrored
from ..pointers import steps_are_items
from ..values.changes import Pointwise, packed
from ..values.make import KNOWN, changed, work_type
from . import kernels
from .borders import Mirror, borders
from .majority import vote
from .program import NDIM, Packed, build, exact_moves, kept_axes, lift, pack
from .stages import Stage
from .turns import moved, turned, unfolded

#: How an array is resampled, see `voxflow.ops.maps.Map.resample`.
Order = Literal["linear", "nearest", "majority"]
Array = NDArray[Any]

# Indices within one leading element are 32 bits wide.
_MAX_VOXELS = 2**31


def joint_order(one: Order, other: Order) -> Order | None:
    """How an array is resampled through two maps at once; None where that cannot be done."""
    if one == other:
        return one
    return None if "linear" in (one, other) else "majority"


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
    changes: Sequence[Pointwise] = (),
    out: Array | None = None,
    mirror: Mirror | None = None,
) -> Array:
    """What `data` looks like through a map; see `Map.resample`, which says most of it.

    Parameters
    ----------
    stages
        the map.
    ndim
        the number of its axes.
    data, in_offset, voxel_size, out_offset, out_shape, order, fill, dtype
        as there.
    changes
        what to do to the values afterwards, in the same pass; then `dtype` is of floating point,
        and `fill` is not changed.
    out
        where to, of the shape and type of the result.
    mirror
        how data are mirrored at their borders; None: there is `fill` beyond.
    """
    data = np.asarray(data)
    target = data.dtype if dtype is None else np.dtype(dtype)
    check(data, target, in_offset, voxel_size, out_offset, out_shape, ndim, order, bool(changes))
    if not holds(target, fill):
        raise ValueError(f"fill {fill!r} is not a value of type {target}")
    where = in_offset, voxel_size, out_offset, out_shape
    volume, program, shape, whole = prepared(stages, ndim, data, *where, mirror)
    moves = exact_moves(program)
    if moves is not None:
        if mirror is not None:
            volume, moves = unfolded(volume, moves, shape, mirror)
        turn = turned(*moves, volume.shape[-NDIM:], shape)
        there, pads = moved(volume, turn), [*[(0, 0)] * (volume.ndim - NDIM), *turn.pads]
        if any(pad != (0, 0) for pad in pads):
            there = finished(there, changes, target, None)
            there = np.pad(there, pads, constant_values=np.asarray(fill, target))
            changes = ()
        return finished(there.reshape(whole), changes, target, out)
    if order != "linear" and changes:  # what hardly anybody asks for need not be one pass
        volume, changes = changed(volume, changes, target), ()
    room = None if out is None else out.reshape(*volume.shape[:-NDIM], *shape)
    if room is not None and not np.may_share_memory(room, out):
        room = None  # of a layout that no kernel writes to
    made = _interpolate(volume, program, shape, order, fill, target, changes, room, mirror)
    if out is None:
        return made.reshape(whole)
    if made is not room:
        np.copyto(out, made.reshape(whole))
    return out


class Prepared(NamedTuple):
    """What there is to do, with three spatial axes.

    Attributes
    ----------
    volume
        the data, without what the map does not reach of the axes that it leaves alone.
    program
        from indices of the result to indices of the volume.
    shape
        of the result, its three spatial axes.
    whole
        the shape of the result as it was asked for, leading axes included.
    """

    volume: Array
    program: tuple[Stage, ...]
    shape: list[int]
    whole: tuple[int, ...]


def prepared(
    stages: Sequence[Stage],
    ndim: int,
    data: Array,
    in_offset: Sequence[Any],
    voxel_size: Sequence[Any],
    out_offset: Sequence[Any],
    out_shape: Sequence[int],
    mirror: Mirror | None = None,
) -> Prepared:
    """From world units to indices, and from any number of axes to three; as `resample` says."""
    extra = len(out_shape) - ndim
    if extra:
        data = _crop_passive(data, extra, in_offset, voxel_size, out_offset, out_shape, mirror)
    origin, size = lift(in_offset[extra:], 0.0), lift(voxel_size[extra:], 1.0)
    axes = zip(lift(out_offset[extra:], 0.0), origin, size, strict=True)
    begin = tuple(to - here + 0.5 * n for to, here, n in axes)
    program = build(tuple(stages), origin, size, begin, size)
    shape = [1] * (NDIM - ndim) + [int(n) for n in out_shape[extra:]]
    lead = data.shape[: data.ndim - ndim]
    volume = data.reshape(*lead, *[1] * (NDIM - ndim), *data.shape[data.ndim - ndim :])
    return Prepared(volume, program, shape, (*lead, *shape[NDIM - ndim :]))


def finished(
    moved: Array, changes: Sequence[Pointwise], target: np.dtype[Any], out: Array | None
) -> Array:
    """What was only moved, with its values changed; a view where nothing is left to do."""
    if changes or (out is not None and target != moved.dtype):
        return changed(moved, changes, target, out)
    if out is None:
        return moved.astype(target, copy=False)
    np.copyto(out, moved)
    return out


def check(
    data: Array,
    target: np.dtype[Any],
    in_offset: Sequence[Any],
    voxel_size: Sequence[Any],
    out_offset: Sequence[Any],
    out_shape: Sequence[int],
    ndim: int,
    order: str,
    changed: bool = False,
) -> None:
    """Raise `ValueError` if `resample` cannot do what it is to do, except for a wrong fill."""
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
    if math.prod(data.shape[data.ndim - ndim :]) >= _MAX_VOXELS:
        raise ValueError(
            f"data of shape {data.shape} have 2**31 voxels or more in their last {ndim} axes: "
            "resample them in blocks"
        )
    _check_values(data, order, target, changed)


def _check_values(data: Array, order: str, target: np.dtype[Any], changed: bool) -> None:
    if order not in ("linear", "nearest", "majority"):
        raise ValueError(f"order is {order!r}; it can be 'linear', 'nearest' or 'majority'")
    if order == "linear" and (data.dtype.kind not in "uif" or data.dtype.itemsize > 8):
        raise ValueError(
            f"data of type {data.dtype} cannot be interpolated linearly: "
            "use order='nearest' or 'majority', or convert to a real number type first"
        )
    if order != "linear" and data.dtype.itemsize not in (1, 2, 4, 8):
        raise ValueError(
            f"values of type {data.dtype} cannot be moved: resample real and imaginary parts "
            "or fields one by one"
        )
    if changed and target.kind != "f":
        raise ValueError(f"values change in floating point, not in {target}: give dtype=")
    exact = order != "linear" and not changed
    if target != data.dtype and (exact or target.kind != "f" or target.itemsize > 8):
        raise ValueError(
            f"data of type {data.dtype} were asked for as {target}: only linear interpolation "
            "changes the type, and only to floats; leave dtype out and convert the result"
        )


def _crop_passive(
    data: Array,
    extra: int,
    in_offset: Sequence[Any],
    voxel_size: Sequence[Any],
    out_offset: Sequence[Any],
    out_shape: Sequence[int],
    mirror: Mirror | None,
) -> Array:
    """Crop the leading spatial axes, which the map does not know, to the output."""
    first = data.ndim - len(out_shape)
    slices = [slice(None)] * data.ndim
    begins, counts = [0] * len(out_shape), list(data.shape[first:])
    for axis in range(extra):
        steps = (out_offset[axis] - in_offset[axis]) / voxel_size[axis]
        begin = round(float(steps))
        end = begin + int(out_shape[axis])
        there = data.shape[first + axis]
        outside = mirror is None and (begin < 0 or end > there)
        if abs(float(steps) - begin) > 1e-6 or outside:
            raise ValueError(
                f"the map leaves spatial axis {axis} alone; voxels {float(steps):g} to "
                f"{float(steps) + int(out_shape[axis]):g} along it were asked for, but the data "
                f"has voxels 0 to {there}: ask for a region on its grid and within it"
            )
        slices[first + axis] = slice(begin, end)
        begins[axis], counts[axis] = begin, end - begin
    if mirror is not None:
        return mirrored(data, begins, counts, repeated=mirror == "symmetric")
    return data[tuple(slices)]


def _interpolate(
    volume: Array,
    program: tuple[Stage, ...],
    shape: Sequence[int],
    order: Order,
    fill: float,
    target: np.dtype[Any],
    changes: Sequence[Pointwise],
    out: Array | None,
    mirror: Mirror | None,
) -> Array:
    """Run the kernel that fits; `volume` and `out` have any leading axes and three spatial ones."""
    lead = volume.shape[: volume.ndim - NDIM]
    border = borders(volume.shape[-NDIM:], mirror)
    native = volume.dtype.newbyteorder("=")
    tables, kept, loop = _tables(program, order == "linear")
    n = shape[loop[2]]
    if order != "linear":
        bits = np.dtype(f"u{native.itemsize}")
        source = _readable(volume, native).view(bits)
        made = np.empty((*lead, *shape), native) if out is None else out
        outside = np.array([fill], native).view(bits)[0]
        space = kernels.workspace(tables.ints, n, bits, np.float32)
        for part, to in _channels(source, made.view(bits)):
            where = *kernels.axes(part), *kernels.axes(to, loop)
            kernels.nearest(*where, *tables, space, outside, border)
            if order == "majority":
                vote(part, to, program, outside, border, native)
        return made.astype(target, copy=False)
    work = work_type(native, target)
    known = native if native in KNOWN else work
    source = _readable(volume, known)
    wanted = work if changes or target != known else known
    fits = out is not None and out.dtype == wanted
    made = out if fits and out is not None else np.empty((*lead, *shape), wanted)
    rounded, outside = wanted.kind in "ui", wanted.type(fill)
    space = kernels.workspace(tables.ints, n, known, work)
    steps = packed(changes)
    rest: Any = (*tables, space, steps, len(steps), rounded, outside, border)
    kernel: Any = kernels.linear_volume if kept is None else kernels.linear_sections
    rest = (*rest, *(() if kept is None else [kept]))
    for part, to in _channels(source, made):
        kernel(*kernels.axes(part), *kernels.axes(to, loop), *rest)
    return _cast(made, target)


@lru_cache(maxsize=128)
def _tables(program: tuple[Stage, ...], in_sections: bool) -> tuple[Packed, int | None, list[int]]:
    """A program for kernels; the axis that can be worked section by section; the order of loops."""
    kept = next(kept_axes(program), None) if in_sections else None
    loop = [0, 1, 2]
    if kept is None or kept[1] == 0:
        return pack(program), None if kept is None else kept[0], loop
    loop = [kept[1], *(axis for axis in loop if axis != kept[1])]
    ordered = Stage(program[0].matrix[:, loop], program[0].shift)
    return pack([ordered, *program[1:]]), kept[0], loop


def _readable(volume: Array, dtype: np.dtype[Any]) -> Array:
    """A volume of this type that kernels can index: the volume itself where that goes."""
    flags = volume.flags
    if volume.dtype == dtype and flags.c_contiguous and flags.aligned and volume.size < _MAX_VOXELS:
        return volume  # most are, and that is seen at once
    strides = [stride // dtype.itemsize for stride in volume.strides[-NDIM:]]
    span = sum((n - 1) * s for n, s in zip(volume.shape[-NDIM:], strides, strict=True))
    plain = volume.dtype == dtype and steps_are_items(volume)
    if plain and min(strides) >= 0 and span < _MAX_VOXELS:
        return volume
    return np.ascontiguousarray(volume, dtype)


def _channels(source: Array, out: Array) -> Any:
    """Both arrays with one leading axis: all leading axes as one, or one after the other."""
    if source.ndim == NDIM:
        yield source[None], out[None]
        return
    if source.ndim == NDIM + 1:
        yield source, out
        return
    for part, to in zip(source, out, strict=True):
        yield from _channels(part, to)


def _cast(values: Array, target: np.dtype[Any]) -> Array:
    """Round to integers where they are asked for; what was rounded before stays as it is."""
    if target.kind not in "ui" or values.dtype.kind in "ui":
        return values.astype(target, copy=False)
    limits = np.iinfo(target)
    top = values.dtype.type(limits.max)
    if int(top) > limits.max:  # no float between: 2**63 and 2**64 do not fit
        top = np.nextafter(top, values.dtype.type(0))
    return np.clip(np.floor(values + 0.5), limits.min, top).astype(target)
