"""The tight box of what a map reads, found from few rows.

Along an axis-aligned row a field is smooth, so that it is enough to look at every few voxels and to
add how far a cubic spline can rise between two looks: step² / 8 times its greatest second
derivative, which its coefficients' second differences bound. Linear maps are looked at in their
corners, also in perspective, which keeps straight lines straight; section tables in every section.
Where several fields, or a field and a perspective, follow one another, every voxel is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, floor
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kernels
from .cells import refined, subgrid
from .program import NDIM, build, lift, on_grid, pack, whole_steps
from .rows import BLOCK, make_scratch
from .stages import Field, Floats, Stage, fuse

Indices = NDArray[np.int64]

_SLACK = 0.3  # voxels by which the box may be too large, per axis that has gaps between looks
_LOOKS_PER_CELL = 8.0  # looks between two control points where no voxels say how fine to look
_NOISE = 1e-6  # voxels


def footprint(
    stages: Sequence[Stage],
    out_offset: Sequence[float],
    out_shape: Sequence[int],
    voxel_size: Sequence[float],
    order: str = "linear",
) -> tuple[list[int], list[int]]:
    """First and last (exclusive) voxel that resampling reads, counted from `out_offset`.

    Parameters
    ----------
    stages
        what the map is made of, in world units, in order from output to input.
    out_offset
        where the output begins (world).
    out_shape
        voxels of the output.
    voxel_size
        of input and output (world).
    order
        "linear", "nearest" or "majority".
    """
    if order != "majority" and len(stages) == 1 and stages[0].is_linear:
        low, high = _linear_box(stages[0], out_offset, out_shape, voxel_size)
    else:
        low, high = _any_box(stages, out_offset, out_shape, voxel_size, order == "majority")
    if order == "linear":
        return [floor(v + _NOISE) for v in low], [ceil(v - _NOISE) + 1 for v in high]
    begin = [floor(v + 0.5 - _NOISE) for v in low]
    return begin, [floor(v + 0.5 + _NOISE) + 1 for v in high]


def _linear_box(
    stage: Stage,
    out_offset: Sequence[float],
    out_shape: Sequence[int],
    voxel_size: Sequence[float],
) -> tuple[list[float], list[float]]:
    """What `_any_box` gives, for what is needed most: without a program, and without arrays."""
    near, size = list(map(float, out_offset)), list(map(float, voxel_size))
    low, high = [], []
    for row, by, here, own in zip(
        stage.matrix.tolist(), stage.shift.tolist(), near, size, strict=True
    ):
        # The centre of the first voxel, counted from where the output begins.
        center = sum(map(mul, row, near)) - here + by + sum(map(mul, row, size)) / 2
        (first,) = on_grid([center / own - 0.5])
        steps = whole_steps([entry * n / own for entry, n in zip(row, size, strict=True)])
        ends = [step * (n - 1) for step, n in zip(steps, out_shape, strict=True)]
        low.append(first + sum([end for end in ends if end < 0]))
        high.append(first + sum([end for end in ends if end > 0]))
    return low, high


def _any_box(
    stages: Sequence[Stage],
    out_offset: Sequence[float],
    out_shape: Sequence[int],
    voxel_size: Sequence[float],
    parts_too: bool,
) -> tuple[list[float], list[float]]:
    """Least and greatest source index of all voxels, and of their parts if that is asked."""
    extra = NDIM - len(out_shape)
    size, origin = lift(voxel_size, 1.0), lift(out_offset, 0.0)
    program = build(tuple(stages), origin, size, tuple(0.5 * n for n in size), size)
    shape = (*[1] * extra, *map(int, out_shape))
    low, high = _box(program, shape)
    if parts_too:
        parts = subgrid(program)
        fine = tuple(n * part for n, part in zip(shape, parts.tolist(), strict=True))
        finer = _box(refined(program, parts), fine)
        low, high = list(map(min, low, finer[0])), list(map(max, high, finer[1]))
    return low[extra:], high[extra:]


def reach(
    stages: Sequence[Stage], begin: Sequence[float], end: Sequence[float]
) -> tuple[Floats, Floats]:
    """The box (world) that holds the source of every position in the box `begin` to `end`.

    Where several fields follow one another, the box of each is taken from the box of the one
    before it: large enough, but not tight.
    """
    ndim = len(begin)
    low, high = np.array(lift(begin, 0.0)), np.array(lift(end, 0.0))
    fused = fuse([stage.lifted(NDIM) for stage in stages])
    tilted = any(stage.tilt is not None for stage in fused)
    uneven = sum(stage.field is not None or (tilted and stage.table is not None) for stage in fused)
    several = uneven + tilted > 1
    for group in [[stage] for stage in fused] if several else [fused]:
        low, high = _reach(group, low, high)
    return low[NDIM - ndim :], high[NDIM - ndim :]


def _reach(stages: Sequence[Stage], first: Floats, last: Floats) -> tuple[Floats, Floats]:
    extent = last - first
    step = np.where(extent > 0, extent, 1.0)
    for stage in stages:
        if stage.field is not None:
            step = np.minimum(step, stage.field.spacing.min() / _LOOKS_PER_CELL)
        if stage.table is not None:
            step = np.minimum(step, 0.5 * stage.table.thickness)
    shape = np.ceil(extent / step).astype(np.int64) + 1
    step = np.where(shape > 1, extent / np.maximum(shape - 1, 1), 1.0)
    one = (1.0,) * NDIM
    program = build(tuple(stages), tuple(first.tolist()), tuple(step.tolist()), (0.0,) * NDIM, one)
    low, high = _extremes(program, shape, np.ones(NDIM, bool))
    return first + low + 0.5, first + high + 0.5


@lru_cache(maxsize=128)
def _box(program: tuple[Stage, ...], extent: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Least and greatest source index of all voxels."""
    if len(program) == 1 and program[0].is_linear:
        matrix, shift = program[0].matrix.tolist(), program[0].shift.tolist()
        least, most = [], []
        for at, row in zip(shift, matrix, strict=True):
            ends = [entry * (n - 1) for entry, n in zip(row, extent, strict=True)]
            least.append(at + sum([end for end in ends if end < 0]))
            most.append(at + sum([end for end in ends if end > 0]))
        return least, most
    low, high = _extremes(*_look_apart(program, np.array(extent, np.int64)))
    return low.tolist(), high.tolist()


def _look_apart(program: Sequence[Stage], shape: Indices) -> tuple[list[Stage], Indices, Any]:
    """Thin the looks out: the program from looks to sources, their counts, and where gaps are."""
    stride = _strides(program, shape)
    looks = np.ceil((shape - 1) / stride).astype(np.int64) + 1
    stride = np.where(looks > 1, (shape - 1) / np.maximum(looks - 1, 1), 1.0)
    first = Stage(program[0].matrix * stride, program[0].shift)
    return [first, *program[1:]], looks, stride > 1.0


def _extremes(program: Sequence[Stage], looks: Indices, gaps: Any) -> tuple[Floats, Floats]:
    """Least and greatest source index over all looks, and over the `gaps` between them."""
    low, high = np.empty(NDIM), np.empty(NDIM)
    packed = pack(program)
    scratch = make_scratch(packed.ints, int(looks[2]) + BLOCK)
    kernels.bounds(looks, *packed, scratch, low, high)
    margin = _between_looks(program, gaps)
    return low - margin, high + margin


def _strides(program: Sequence[Stage], shape: Indices) -> Floats:
    """How many voxels apart to look, per output axis."""
    matrix = program[0].matrix
    stride: Floats = np.maximum(shape - 1.0, 1.0)
    if any(stage.tilt is not None for stage in program):
        straight = all(stage.field is None and stage.table is None for stage in program)
        return stride if straight else np.ones(NDIM)
    for at, stage in enumerate(program[1:], 1):
        turned = np.any(np.count_nonzero(matrix, axis=1) > 1)
        if turned or (stage.field is not None and at < len(program) - 1):
            return np.ones(NDIM)
        if stage.table is not None:
            stride[matrix[stage.table.axis] != 0] = 1.0
        if stage.field is not None:
            for k, out_axis in np.argwhere(matrix != 0):
                if stage.field.counts[k] > 1:
                    cell = stage.field.spacing[k] / abs(matrix[k, out_axis])
                    bend = max(_bend(stage.field, int(k)).max(), 1e-9)
                    smooth = cell * min(0.5, float(np.sqrt(8.0 * _SLACK / bend)))
                    stride[out_axis] = min(stride[out_axis], max(1.0, smooth))
        matrix = stage.matrix @ matrix
    return stride


def _between_looks(program: Sequence[Stage], gaps: Any) -> Floats:
    """How far the field can rise in the gaps between looks, per input axis."""
    margin = np.zeros(NDIM)
    field = program[-1].field
    if field is None:
        return margin
    matrix = program[0].matrix
    for stage in program[1:-1]:
        matrix = stage.matrix @ matrix
    for k in range(NDIM):
        step = np.abs(matrix[k]) @ gaps / field.spacing[k]
        if field.counts[k] > 1:
            margin += step**2 / 8.0 * _bend(field, k)
    return margin


def _bend(field: Field, axis: int) -> Floats:
    """The greatest second difference of the coefficients along `axis`, per component."""
    second = np.abs(np.diff(field.coefficients, n=2, axis=1 + axis))
    return np.asarray(second.max(axis=tuple(range(1, second.ndim))))
