"""Stages made ready for the kernels: lifted to three axes, fused, and packed into flat tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .rows import CENTER, HEAD, INTS, LINEAR, NUMBERS, PIECE, PIECES, SLOPE, TABLE, TILT
from .spline import ACTIVE, BEGIN, COMPONENT, COUNT, FIELD, POSITION, SPACING, STRIDE
from .stages import Field, Floats, SectionTable, Stage, eye, fuse, scaling

#: The kernels always work on this many spatial axes.
NDIM = 3

_PARALLEL = 1e-9  # matrix entries closer than this to a whole number are that number
_UNITS = {0.0, 1.0, -1.0}
_ON_GRID = 1e-6  # voxels: shifts closer than this to a half or whole voxel are exactly there


class Packed(NamedTuple):
    """A program as the kernels read it (see `rows.trace_row`)."""

    ints: NDArray[np.int64]
    numbers: Floats


def lift(values: Sequence[Any], filler: float) -> tuple[float, ...]:
    """`values` as floats with leading entries added for the axes that are not there."""
    return (*[filler] * (NDIM - len(values)), *map(float, values))


@lru_cache(maxsize=128)
def build(
    stages: tuple[Stage, ...],
    origin: tuple[float, ...],
    step: tuple[float, ...],
    begin: tuple[float, ...],
    voxel_size: tuple[float, ...],
) -> tuple[Stage, ...]:
    """Output indices to input indices, in as few stages as possible.

    Arrays that are moved together have the same program, which is built once.

    Parameters
    ----------
    stages
        what the map is made of, in world units, in order from output to input.
    origin
        a world position near the data (3 axes); input voxel 0 begins there.
    step
        between output indices (world, 3 axes).
    begin
        where output index 0 lies, counted from `origin`.
    voxel_size
        of the input (3 axes).
    """
    if len(stages) == 1 and stages[0].is_linear:
        return (_only_linear(stages[0], origin, step, begin, voxel_size),)
    near, size = np.array(origin), np.array(voxel_size)
    # Fused in the axes that they have, and so lifted once where all are linear.
    moved = [
        stage.lifted(NDIM)
        for stage in fuse(stage.seen_from(near[NDIM - len(stage.shift) :]) for stage in stages)
    ]
    first, last = scaling(np.array(step), np.array(begin)), scaling(1.0 / size, np.full(NDIM, -0.5))
    fused = fuse([first, *moved, last])
    if len(fused) == 1:
        rows = [whole_steps(row) for row in fused[0].matrix.tolist()]
        fused = [Stage(np.array(rows), np.array(on_grid(fused[0].shift.tolist())))]
    return tuple(fused)


def _only_linear(
    stage: Stage,
    origin: tuple[float, ...],
    step: tuple[float, ...],
    begin: tuple[float, ...],
    voxel_size: tuple[float, ...],
) -> Stage:
    """What `build` makes of one linear stage: with few arrays, which take long to make."""
    extra = NDIM - len(stage.shift)
    by = stage.shift
    if any(origin[extra:]):
        near = np.array(origin[extra:])
        by = stage.matrix @ near - near + by
    # About each axis by itself, also where others are added.
    shift = [*[0.0] * extra, *by.tolist()]
    moved = [*begin[:extra], *(stage.matrix @ np.array(begin[extra:])).tolist()]
    ends = zip(moved, shift, voxel_size, strict=True)
    places = [(1.0 / size) * (to + by) - 0.5 for to, by, size in ends]
    return Stage(_steps(stage, step, voxel_size), np.array(on_grid(places)))


@lru_cache(maxsize=128)
def _steps(stage: Stage, step: tuple[float, ...], voxel_size: tuple[float, ...]) -> Floats:
    """The matrix of a linear stage from indices to indices, without the noise of rounding."""
    matrix = eye(NDIM)
    extra = NDIM - len(stage.shift)
    matrix[extra:, extra:] = stage.matrix
    rows = [
        [(1.0 / size) * (entry * n) for entry, n in zip(row, step, strict=True)]
        for size, row in zip(voxel_size, matrix.tolist(), strict=True)
    ]
    return np.array([whole_steps(row) for row in rows])


def whole_steps(row: Sequence[float]) -> list[float]:
    """Entries of a matrix between indices, without the noise of rounding."""
    return _snapped(row, 1.0, _PARALLEL)


def on_grid(shift: Sequence[float]) -> list[float]:
    """A shift between indices, without the noise of rounding."""
    return _snapped(shift, 0.5, _ON_GRID)


def _snapped(numbers: Sequence[float], grid: float, tolerance: float) -> list[float]:
    """Numbers, of which those are on the grid that are close to it."""
    found = []
    for number in numbers:
        there = round(number / grid) * grid
        found.append(there if abs(number - there) < tolerance else number)
    return found


@lru_cache(maxsize=128)
def exact_moves(
    program: tuple[Stage, ...],
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Matrix and shift of a program that only mirrors, transposes and moves by whole voxels."""
    if len(program) != 1 or not program[0].is_linear:
        return None
    if not _UNITS.issuperset(program[0].matrix.ravel().tolist()):
        return None
    matrix = np.rint(program[0].matrix)
    shift = np.rint(program[0].shift)
    whole = np.array_equal(matrix, program[0].matrix) and np.array_equal(shift, program[0].shift)
    if not whole or not np.array_equal(np.abs(matrix).sum(0), np.ones(NDIM)):
        return None
    if not np.array_equal(np.abs(matrix).sum(1), np.ones(NDIM)):
        return None
    return matrix.astype(np.int64), shift.astype(np.int64)


def kept_axes(program: Sequence[Stage]) -> Iterator[tuple[int, int]]:
    """Input axes that follow one output axis from voxel to voxel, each with that output axis.

    Where there is one, the map can be worked section by section, without interpolation across.
    """
    if len(program) == 1 and program[0].is_linear:  # as below, without arrays
        rows, shift = program[0].matrix.tolist(), program[0].shift.tolist()
        for axis, (entries, by) in enumerate(zip(rows, shift, strict=True)):
            sizes = [abs(entry) for entry in entries]
            alone = abs(sum(sizes) - 1.0) < _PARALLEL and abs(max(sizes) - 1.0) < _PARALLEL
            if alone and abs(by - round(by)) <= _ON_GRID:
                yield axis, sizes.index(max(sizes))
        return
    for axis in range(NDIM):
        row = np.zeros(NDIM)
        row[axis] = 1.0
        constant = 0.0
        free = True
        for stage in reversed(program):
            free = free and not _touches(row, stage)
            constant += float(row @ stage.shift)
            row = row @ stage.matrix
        row = np.array(whole_steps(row.tolist()))
        if not free or abs(constant - round(constant)) > _ON_GRID:
            continue
        if np.count_nonzero(row) == 1 and np.abs(row).sum() == 1.0:
            yield axis, int(np.flatnonzero(row)[0])


def _touches(row: Floats, stage: Stage) -> bool:
    """Whether the field, table or perspective of `stage` moves anything along `row`."""
    if stage.tilt is not None:
        return True
    if stage.field is not None and np.tensordot(row, stage.field.coefficients, axes=1).any():
        return True
    return stage.table is not None and bool((stage.table.offsets @ row).any())


def pack(program: Sequence[Stage]) -> Packed:
    """Write a program into the two flat arrays that the kernels read.

    Integers: a head (see `rows`), then a record for each stage: kind, and where its coefficients
    begin in the numbers; of a field what `spline` says, of a table its axis and the number of
    sections. Numbers: a record for each stage, with matrix (9), shift (3), and of a field its first
    control point (3) and inverse spacing (3), of a table its begin and inverse thickness, of a
    perspective its slope (3), one minus that times the centre, and the centre (3), whose integers
    say which axes are foreshortened (bits); then all coefficients.
    """
    if len(program) == 1 and program[0].is_linear:
        only = np.zeros(NUMBERS)
        _write_linear(program[0], only)
        return Packed(_ONE_LINEAR, only)
    return _pack_any(program)


def _pack_any(program: Sequence[Stage]) -> Packed:
    ints = np.zeros(HEAD + INTS * len(program), np.int64)
    numbers = [np.zeros(NUMBERS * len(program))]
    used, longest, most = numbers[0].size, 4, 16
    for at, stage in enumerate(program):
        record = ints[HEAD + INTS * at :]
        values = numbers[0][NUMBERS * at :]
        _write_linear(stage, values)
        record[0], record[BEGIN] = LINEAR, used
        if stage.field is not None:
            record[0] = FIELD
            coefficients = _pack_field(stage.field, record, values)
            a, b, c = coefficients.shape[1:]
            longest, most = max(longest, a, b, c), max(most, a * b, a * c, b * c)
        elif stage.table is not None:
            record[0] = TABLE
            coefficients = _pack_table(stage.table, record, values)
        else:
            if stage.tilt is not None:
                record[0] = TILT
                values[SLOPE : SLOPE + 3] = stage.tilt.slope
                values[SLOPE + 3] = 1.0 - stage.tilt.slope @ stage.tilt.center
                values[CENTER : CENTER + 3] = stage.tilt.center
                record[ACTIVE] = sum(1 << axis for axis in range(NDIM) if stage.tilt.axes[axis])
            continue
        numbers.append(coefficients.ravel())
        used += coefficients.size
    line = PIECES + PIECE * (longest + 2)
    memory = line + 3 * longest
    ints[:HEAD] = len(program), line, memory, memory + 2 + 3 * most
    return Packed(ints, np.concatenate(numbers))


def _write_linear(stage: Stage, numbers: Floats) -> None:
    numbers[:9] = stage.matrix.ravel()
    numbers[9:12] = stage.shift


def _pack_field(field: Field, ints: NDArray[np.int64], numbers: Floats) -> Floats:
    values = np.ascontiguousarray(field.coefficients)
    strides = [s // values.itemsize for s in values.strides]
    ints[COUNT : COUNT + 3] = field.counts
    ints[STRIDE : STRIDE + 3] = strides[1:]
    ints[COMPONENT] = strides[0]
    ints[ACTIVE] = sum(1 << axis for axis in range(NDIM) if values[axis].any())
    numbers[POSITION : POSITION + 3] = field.origin
    numbers[SPACING : SPACING + 3] = 1.0 / field.spacing
    return values


def _pack_table(table: SectionTable, ints: NDArray[np.int64], numbers: Floats) -> Floats:
    ints[2], ints[3] = table.axis, len(table.offsets)
    numbers[POSITION : POSITION + 2] = table.origin, 1.0 / table.thickness
    return np.ascontiguousarray(table.offsets)


#: The integers of every program that is one linear stage.
_ONE_LINEAR = _pack_any([scaling(np.ones(NDIM), np.zeros(NDIM))]).ints
