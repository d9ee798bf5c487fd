"""The loops that move voxels: one output row at a time, in a few short passes.

Each row is traced (`rows.trace_row`), its coordinates are split into whole and fractional parts,
the voxels are loaded, and at last interpolated (`lookup`). Leading axes (channels, samples) share
the first passes.

All kernels take: ``data``, ``out``: the first element of each; ``size``, ``stride``: int64 (4,), of
the input's three axes and of its leading axis; ``shape``, ``step``: the same of the output, in the
order of the loop; a packed program, ``ints`` and ``numbers``; a `Workspace`; ``fill``; ``border``,
how the data go on beyond their borders (see `borders`). Linear ones also take ``steps``, changes of
the values that are made before they are written (see `voxflow.ops.values.changes.packed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxflow.pipeline.compiled import kernel

from ..pointers import pointer, unlocked
from ..values.kernels import change_row
from . import lookup
from .borders import folded
from .rows import (
    BLOCK,
    COEFFICIENTS,
    COORDINATES,
    PIECES,
    coordinate,
    ends,
    make_scratch,
    trace_row,
)

#: Rows are worked in tiles of at most so many voxels, such that all lists of a row stay in the
#: first-level cache.
TILE = 512
_LINE = 64  # bytes of a line of the cache


class Workspace(NamedTuple):
    """What a kernel writes on its way, made by whoever calls it."""

    tile: int
    scratch: NDArray[np.float64]
    indices: NDArray[np.uint32]
    work: NDArray[Any]
    pairs: NDArray[Any]


def workspace(
    ints: NDArray[np.int64], n: int, data: DTypeLike, work: DTypeLike, tile: int = TILE
) -> Workspace:
    """Memory for rows of `n` voxels.

    Parameters
    ----------
    ints
        of the packed program.
    n
        voxels in a row.
    data
        the type of the voxels.
    work
        the type in which is interpolated.
    tile
        the greatest number of voxels to work at once.
    """
    tile = -(-n // -(-n // tile))  # tiles of nearly the same size
    room = tile + BLOCK
    scratch, index = make_scratch(ints, room), np.zeros(2 * room, np.uint32)
    return Workspace(tile, scratch, index, np.zeros(5 * room, work), np.zeros(4 * tile, data))


def axes(
    array: NDArray[Any], order: Sequence[int] = (0, 1, 2)
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """The first element of an array; its three spatial axes in `order`, then its leading one."""
    shape, strides, size = array.shape, array.strides, array.itemsize
    a, b, c = (1 + axis for axis in order)
    counts = shape[a], shape[b], shape[c], shape[0]
    steps = strides[a] // size, strides[b] // size, strides[c] // size, strides[0] // size
    first = unlocked(array[:1, :1, :1, :1].reshape(1))
    return first, np.array(counts, np.int64), np.array(steps, np.int64)


@kernel
def linear_sections(
    data: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    ints: Any,
    numbers: Any,
    space: Any,
    steps: Any,
    count: int,
    rounded: bool,
    fill: Any,
    border: Any,
    kept: int,
) -> None:
    """Bilinear, where input axis `kept` follows the outer axis of the loop from voxel to voxel."""
    tile, room = space.tile, space.tile + BLOCK
    source, target = pointer(data), pointer(out)
    i, f, scratch, x = pointer(ints), pointer(numbers), pointer(space.scratch), ints[COORDINATES]
    index, work, pairs = pointer(space.indices), pointer(space.work), pointer(space.pairs)
    todo = pointer(steps)
    u, v = (1 if kept == 0 else 0), (1 if kept == 2 else 2)
    u_size, u_step, v_size, v_step = size[u], stride[u], size[v], stride[v]
    du, dv = lookup.neighbour(u_size, u_step), lookup.neighbour(v_size, v_step)
    sizes, line, before = pointer(size), _LINE // data.itemsize, 0
    following = 0
    for a in range(shape[0]):
        for first in range(0, shape[2], tile):
            n = min(tile, shape[2] - first)
            for b in range(shape[1]):
                used = trace_row(i, f, scratch, a, b, first, n, room)
                at = x + kept * room if used == 0 else PIECES + COEFFICIENTS + 4 * kept
                section = floor(scratch[at] + 0.5)
                if border[kept, 1] != 0.0:
                    half, period = border[kept, 0], border[kept, 1]
                    section = int(folded(1.0 * section, half, period, 1.0 / period))
                outside = int(section < 0 or section >= size[kept])
                section = min(max(section, 0), size[kept] - 1)
                if kept == 0 and first == 0:
                    following = 2 * section - before if b == 0 else following
                    before = section
                    if following != section and 0 <= following < size[0]:
                        ahead = following * stride[0]
                        lookup.fetch_part(source, ahead, stride[0], line, b, shape[1])
                outside |= lookup.split(
                    scratch, x, used, u, n, room, u_size, u_step,
                    border[u, 0], border[u, 1], False, index, work,
                )  # fmt: skip
                outside |= lookup.split(
                    scratch, x, used, v, n, room, v_size, v_step,
                    border[v, 0], border[v, 1], True, index, work,
                )  # fmt: skip
                for c in range(shape[3]):
                    base = section * stride[kept] + c * stride[3]
                    to = a * step[0] + b * step[1] + first * step[2] + c * step[3]
                    lookup.load(source, base, index, n, du, dv, pairs)
                    lookup.lerp(pairs, n, work, u * room, v * room, 3 * room)
                    change_row(work, 3 * room, n, todo, count)
                    lookup.store(work, 3 * room, n, target, to, step[2], rounded)
                    if outside:
                        lookup.fill_outside(
                            scratch, x, used, n, room, sizes, target, to, step[2], fill
                        )


@kernel
def linear_volume(
    data: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    ints: Any,
    numbers: Any,
    space: Any,
    steps: Any,
    count: int,
    rounded: bool,
    fill: Any,
    border: Any,
) -> None:
    """Trilinear."""
    tile, room = space.tile, space.tile + BLOCK
    source, target = pointer(data), pointer(out)
    i, f, scratch, x = pointer(ints), pointer(numbers), pointer(space.scratch), ints[COORDINATES]
    index, work, pairs = pointer(space.indices), pointer(space.work), pointer(space.pairs)
    todo = pointer(steps)
    sizes = pointer(size)
    dt = lookup.neighbour(size[0], stride[0])
    du, dv = lookup.neighbour(size[1], stride[1]), lookup.neighbour(size[2], stride[2])
    for a in range(shape[0]):
        for first in range(0, shape[2], tile):
            n = min(tile, shape[2] - first)
            for b in range(shape[1]):
                used = trace_row(i, f, scratch, a, b, first, n, room)
                outside = 0
                for axis in range(3):
                    outside |= lookup.split(
                        scratch, x, used, axis, n, room, size[axis], stride[axis],
                        border[axis, 0], border[axis, 1], axis > 0, index, work,
                    )  # fmt: skip
                for c in range(shape[3]):
                    to = a * step[0] + b * step[1] + first * step[2] + c * step[3]
                    base = c * stride[3]
                    lookup.load(source, base, index, n, du, dv, pairs)
                    lookup.lerp(pairs, n, work, room, 2 * room, 3 * room)
                    lookup.load(source, base + dt, index, n, du, dv, pairs)
                    lookup.lerp(pairs, n, work, room, 2 * room, 4 * room)
                    lookup.blend(work, n, 3 * room, 4 * room, 0)
                    change_row(work, 3 * room, n, todo, count)
                    lookup.store(work, 3 * room, n, target, to, step[2], rounded)
                    if outside:
                        lookup.fill_outside(
                            scratch, x, used, n, room, sizes, target, to, step[2], fill
                        )


@kernel
def nearest(
    data: Any,
    size: Any,
    stride: Any,
    out: Any,
    shape: Any,
    step: Any,
    ints: Any,
    numbers: Any,
    space: Any,
    fill: Any,
    border: Any,
) -> None:
    """Nearest neighbour; exactly between two voxels the upper one is taken."""
    tile, room = space.tile, space.tile + BLOCK
    source, target = pointer(data), pointer(out)
    i, f, scratch, x = pointer(ints), pointer(numbers), pointer(space.scratch), ints[COORDINATES]
    index, sizes = pointer(space.indices), pointer(size)
    for a in range(shape[0]):
        for first in range(0, shape[2], tile):
            n = min(tile, shape[2] - first)
            for b in range(shape[1]):
                used = trace_row(i, f, scratch, a, b, first, n, room)
                outside = 0
                for axis in range(3):
                    outside |= lookup.nearest(
                        scratch, x, used, axis, n, room, size[axis], stride[axis],
                        border[axis, 0], border[axis, 1], axis > 0, index,
                    )  # fmt: skip
                for c in range(shape[3]):
                    to = a * step[0] + b * step[1] + first * step[2] + c * step[3]
                    lookup.pick(source, c * stride[3], index, n, target, to, step[2])
                    if outside:
                        lookup.fill_outside(
                            scratch, x, used, n, room, sizes, target, to, step[2], fill
                        )


@kernel
def bounds(shape: Any, ints: Any, numbers: Any, scratch: Any, low: Any, high: Any) -> None:
    """Write the least and the greatest source coordinate of all output voxels, per axis."""
    n = shape[2]
    room, x = n + BLOCK, ints[COORDINATES]
    i, f, row = pointer(ints), pointer(numbers), pointer(scratch)
    low[:], high[:] = np.inf, -np.inf
    for a in range(shape[0]):
        for b in range(shape[1]):
            used = trace_row(i, f, row, a, b, 0, n, room)
            for c in range(3):
                least, most = low[c], high[c]
                if used == 0:
                    for k in range(x + c * room, x + c * room + n):
                        least, most = min(least, row[k]), max(most, row[k])
                for p in range(used):
                    begin, end = ends(row, p)
                    for k in range(end - begin):
                        here = coordinate(row, p, c, 1.0 * k)
                        least, most = min(least, here), max(most, here)
                low[c], high[c] = least, most
