"""Where the voxels of a result come from, computed on a device.

A position is three tensors, one for each input axis, that broadcast against each other: what a map
does not mix stays as small as a line or a plane. All of it is float64, as on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import torch

from voxflow.ops.resampling.stages import NEAREST, Field, Floats, SectionTable, Stage, Tilt

Position = list[torch.Tensor]

_GRID = 0.5  # voxels: what is this close to a multiple is meant to be there
_ON_GRID = 1e-6
_SECTION_EDGE = 1e-6  # sections begin this early, so that centres on an edge always fall upwards


class Positions:
    """The positions that a program gives; see `voxflow.ops.resampling.program.build`.

    Parameters
    ----------
    program
        From indices of the result to indices of the data. Control points and section tables are
        copied to the device now.
    device
        Where to compute.
    """

    def __init__(self, program: Sequence[Stage], device: torch.device) -> None:
        self._program = program
        self._device = device
        self._fields = [_field_on(stage.field, device) for stage in program]
        self._tables = [_table_on(stage.table, device) for stage in program]
        self._straight = all(stage.field is None and stage.tilt is None for stage in program)

    def __call__(self, box: Sequence[tuple[int, int]]) -> Position:
        """The positions of a box of the result: ``(begin, end)`` for each of three axes."""
        here: Position = []
        for axis, (begin, end) in enumerate(box):
            line = torch.arange(begin, end, dtype=torch.float64, device=self._device)
            here.append(line.reshape([-1 if a == axis else 1 for a in range(3)]))
        for stage, coefficients, offsets in zip(
            self._program, self._fields, self._tables, strict=True
        ):
            moved = _linear(stage, here)
            if stage.field is not None and coefficients is not None:
                _add(moved, _field_at(stage.field, coefficients, here), stage.field.coefficients)
            if stage.table is not None and offsets is not None:
                sections = _sections_of(stage.table, here[stage.table.axis])
                _add(moved, [line[sections] for line in offsets], stage.table.offsets.T)
            if stage.tilt is not None:
                moved = _foreshortened(stage, stage.tilt, here, moved)
            here = moved
        return [_snapped(p) for p in here] if self._straight else here


def _field_on(field: Field | None, device: torch.device) -> torch.Tensor | None:
    return None if field is None else torch.tensor(field.coefficients, device=device)


def _table_on(table: SectionTable | None, device: torch.device) -> torch.Tensor | None:
    return None if table is None else torch.tensor(table.offsets.T, device=device)


def _add(moved: Position, by: Sequence[torch.Tensor] | torch.Tensor, numbers: Floats) -> None:
    """Add what is not zero: what is not moved stays small."""
    for axis in range(3):
        if numbers[axis].any():
            moved[axis] = moved[axis] + by[axis]


def _linear(stage: Stage, here: Position) -> Position:
    moved = []
    for row, shift in zip(stage.matrix.tolist(), stage.shift.tolist(), strict=True):
        terms = [here[axis] * factor for axis, factor in enumerate(row) if factor != 0.0]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        moved.append(total + shift)
    return moved


def _foreshortened(stage: Stage, tilt: Tilt, here: Position, moved: Position) -> Position:
    depth = torch.ones((), dtype=torch.float64, device=here[0].device)
    for axis, slope in enumerate(tilt.slope.tolist()):
        if slope != 0.0:
            depth = depth + slope * (here[axis] - float(tilt.center[axis]))
    depth = depth.clamp(min=NEAREST)
    own = zip(tilt.axes.tolist(), tilt.center.tolist(), here, strict=True)
    middle = [torch.full_like(p[:1, :1, :1], c) if short else p for short, c, p in own]
    return [c + (p - c) / depth for c, p in zip(_linear(stage, middle), moved, strict=True)]


def _snapped(p: torch.Tensor) -> torch.Tensor:
    """Without rounding noise, so that what is meant to fall on voxel centres or edges does."""
    grid = torch.round(p / _GRID) * _GRID
    return torch.where((p - grid).abs() < _ON_GRID, grid, p)


def _sections_of(table: SectionTable, z: torch.Tensor) -> torch.Tensor:
    number = torch.floor((z - table.origin) / table.thickness + _SECTION_EDGE)
    return number.clamp(0, len(table.offsets) - 1).long()


# -- fields -------------------------------------------------------------------------------------


def _field_at(field: Field, coefficients: torch.Tensor, here: Position) -> torch.Tensor:
    """Values of a field, a cubic B-spline, as one tensor with the components first."""
    cells, weights = [], []
    for axis, count in enumerate(field.counts):
        u = (here[axis] - float(field.origin[axis])) / float(field.spacing[axis])
        cell, taps = _basis(u, count)
        cells.append(cell)
        weights.append(taps)
    order = _order_of_sums(coefficients.shape[1:], here)
    if order is None:
        return _anywhere(coefficients, cells, weights)
    return _by_axes(coefficients, cells, weights, order)


def _basis(u: torch.Tensor, count: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The cell of each position, and the weights of its control points: 4, or 1 where all agree."""
    if count == 1:
        return torch.zeros_like(u, dtype=torch.long), [torch.ones_like(u)]
    u = u.clamp(0.0, count - 1.0)
    cell = u.long().clamp(max=count - 2)
    t = u - cell
    s = 1.0 - t
    return cell, [
        s * s * s / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
        (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
        t * t * t / 6.0,
    ]


def _order_of_sums(points: Sequence[int], here: Position) -> tuple[int, ...] | None:
    """In which order to sum over the axes of control points, each by itself.

    None where positions mix so much that matrices, or what is between the sums, would be larger
    than the result.
    """
    shape = torch.broadcast_shapes(*[p.shape for p in here])
    matrices = max(math.prod(p.shape) * n for p, n in zip(here, points, strict=True))
    best, least = None, max(math.prod(shape), math.prod(points))
    for order in permutations(range(3)):
        left, seen, most = list(points), [1, 1, 1], matrices
        for axis in order:
            left[axis] = 1
            seen = [max(pair) for pair in zip(seen, here[axis].shape, strict=True)]
            most = max(most, math.prod(left) * math.prod(seen))
        if most <= least:
            best, least = order, most
    return best


def _by_axes(
    coefficients: torch.Tensor,
    cells: Position,
    weights: Sequence[Sequence[torch.Tensor]],
    order: Sequence[int],
) -> torch.Tensor:
    """Where an axis follows a line or plane of the result, a sum is a product of matrices."""
    values, names = coefficients, "nABC"
    for axis in order:
        cell, point = cells[axis].unsqueeze(-1), "ABC"[axis]
        taps = torch.stack([w.expand(cell.shape[:-1]) for w in weights[axis]], -1)
        shares = values.new_zeros(*cell.shape[:-1], coefficients.shape[1 + axis])
        shares.scatter_(-1, cell + torch.arange(taps.shape[-1], device=cell.device), taps)
        own = [name for name, n in zip("xyz", cell.shape[:-1], strict=True) if n > 1]
        made = names.replace(point, "") + "".join(name for name in own if name not in names)
        shares = shares.reshape([n for n in cell.shape[:-1] if n > 1] + [shares.shape[-1]])
        values = torch.einsum(f"{names},{''.join(own)}{point}->{made}", values, shares)
        names = made
    values = values.permute([names.index(name) for name in "nxyz" if name in names])
    for axis, name in enumerate("xyz", 1):
        values = values if name in names else values.unsqueeze(axis)
    return values


def _anywhere(
    coefficients: torch.Tensor, cells: Position, weights: Sequence[Sequence[torch.Tensor]]
) -> torch.Tensor:
    """Every position has its own control points."""
    flat = coefficients.reshape(len(coefficients), -1)
    strides = coefficients.stride()[1:]
    base = cells[0] * strides[0] + cells[1] * strides[1] + cells[2] * strides[2]
    total = torch.zeros((), dtype=flat.dtype, device=flat.device)
    for i, first in enumerate(weights[0]):
        for j, second in enumerate(weights[1]):
            for k, third in enumerate(weights[2]):
                at = base + (i * strides[0] + j * strides[1] + k * strides[2])
                total = total + flat[:, at] * (first * second * third)
    return total
