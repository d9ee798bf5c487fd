"""Stages made ready for the kernels: lifted to three axes, fused, and packed into flat tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rows import LINEAR, TABLE
from .spline import FIELD, POSITION, SPACING
from .stages import Field, Floats, SectionTable, Stage, fuse, linear, scaling

#: The kernels always work on this many spatial axes.
NDIM = 3

_N_INTS, _N_FLOATS = 13, 18

_PARALLEL = 1e-9  # matrix entries closer than this to a whole number are that number
_ON_GRID = 1e-6  # voxels: shifts closer than this to a half or whole voxel are exactly there


@dataclass(frozen=True, eq=False)
class Packed:
    """A program as the kernels read it (see `rows.trace_row`)."""

    ints: NDArray[np.int64]
    floats: Floats
    coefficients: Floats

    @property
    def tables(self) -> tuple[NDArray[np.int64], Floats, Floats]:
        """The three tables, as kernels take them."""
        return self.ints, self.floats, self.coefficients


def lift(values: Sequence[float], filler: float) -> Floats:
    """`values` as float64 with leading entries added for the axes that are not there."""
    return np.array([filler] * (NDIM - len(values)) + [float(v) for v in values])


def build(stages: Sequence[Stage], origin: Floats, first: Stage, voxel_size: Floats) -> list[Stage]:
    """Output indices to input indices, in as few stages as possible.

    Parameters
    ----------
    stages
        what the map is made of, in world units, in order from output to input.
    origin
        a world position near the data (3 axes); input voxel 0 begins there.
    first
        from output indices to positions that count from `origin`.
    voxel_size
        of the input (3 axes).
    """
    moved = [stage.lifted(NDIM).seen_from(origin) for stage in stages]
    last = scaling(1.0 / voxel_size, np.full(NDIM, -0.5))
    fused = fuse([first, *moved, last])
    if len(fused) == 1:
        matrix, shift = fused[0].matrix, fused[0].shift
        fused = [linear(_snapped(matrix, 1.0, _PARALLEL), _snapped(shift, 0.5, _ON_GRID))]
    return fused


def _snapped(values: Floats, grid: float, tolerance: float) -> Floats:
    on_grid = np.rint(values / grid) * grid
    return np.where(np.abs(values - on_grid) < tolerance, on_grid, values)


def exact_moves(program: Sequence[Stage]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Matrix and shift of a program that only mirrors, transposes and moves by whole voxels."""
    if len(program) != 1 or not program[0].is_linear:
        return None
    matrix = np.rint(program[0].matrix)
    shift = np.rint(program[0].shift)
    whole = np.array_equal(matrix, program[0].matrix) and np.array_equal(shift, program[0].shift)
    if not whole or not np.array_equal(np.abs(matrix).sum(0), np.ones(NDIM)):
        return None
    if not np.array_equal(np.abs(matrix).sum(1), np.ones(NDIM)):
        return None
    return matrix.astype(np.int64), shift.astype(np.int64)


def kept_axis(program: Sequence[Stage]) -> tuple[int, int] | None:
    """An input axis that follows one output axis from voxel to voxel, and that output axis.

    Where there is one, the map can be worked section by section, without interpolation across.
    """
    for axis in range(NDIM):
        row = np.zeros(NDIM)
        row[axis] = 1.0
        constant = 0.0
        free = True
        for stage in reversed(program):
            free = free and not _touches(row, stage)
            constant += float(row @ stage.shift)
            row = row @ stage.matrix
        row = _snapped(row, 1.0, _PARALLEL)
        if not free or abs(constant - round(constant)) > _ON_GRID:
            continue
        if np.count_nonzero(row) == 1 and np.abs(row).sum() == 1.0:
            return axis, int(np.flatnonzero(row)[0])
    return None


def _touches(row: Floats, stage: Stage) -> bool:
    """Whether the field or table of `stage` moves anything along `row`."""
    if stage.field is not None and np.tensordot(row, stage.field.coefficients, axes=1).any():
        return True
    return stage.table is not None and bool((stage.table.offsets @ row).any())


def pack(program: Sequence[Stage]) -> Packed:
    """Write a program into the flat tables that the kernels read, one row per stage.

    Floats: 0-8 matrix, 9-11 shift; field: 12-14 first control point, 15-17 inverse spacing;
    table: 12 begin, 13 inverse thickness. Integers: 0 kind, 1 where its coefficients begin; field:
    2-4 control points, 5-7 strides of the coefficients, 8 stride of a component, 9 the components
    that are not zero (bits), 10-12 shape of the coefficients; table: 2 axis, 3 sections.
    """
    ints = np.zeros((len(program), _N_INTS), np.int64)
    floats = np.zeros((len(program), _N_FLOATS))
    numbers: list[Floats] = [np.zeros(1)]
    used = 1
    for at, stage in enumerate(program):
        floats[at, :9] = stage.matrix.ravel()
        floats[at, 9:12] = stage.shift
        ints[at, 0], ints[at, 1] = LINEAR, used
        if stage.field is not None:
            ints[at, 0] = FIELD
            values = _pack_field(stage.field, ints[at], floats[at])
        elif stage.table is not None:
            ints[at, 0] = TABLE
            values = _pack_table(stage.table, ints[at], floats[at])
        else:
            continue
        numbers.append(values.ravel())
        used += values.size
    return Packed(ints, floats, np.concatenate(numbers))


def _pack_field(field: Field, ints: NDArray[np.int64], floats: Floats) -> Floats:
    values = np.ascontiguousarray(field.coefficients)
    strides = [s // values.itemsize for s in values.strides]
    ints[2:5] = field.counts
    ints[5:8] = strides[1:]
    ints[8] = strides[0]
    ints[10:13] = values.shape[1:]
    ints[9] = sum(1 << axis for axis in range(NDIM) if values[axis].any())
    floats[POSITION : POSITION + 3] = field.origin
    floats[SPACING : SPACING + 3] = 1.0 / field.spacing
    return values


def _pack_table(table: SectionTable, ints: NDArray[np.int64], floats: Floats) -> Floats:
    ints[2], ints[3] = table.axis, len(table.offsets)
    floats[POSITION : POSITION + 2] = table.origin, 1.0 / table.thickness
    return np.ascontiguousarray(table.offsets)
