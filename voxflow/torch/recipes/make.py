"""Recipes that are carried out on a device: what `Recipe.make` does, with torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxflow.ops.recipe import Recipe
from voxflow.ops.resampling.program import NDIM, exact_moves, kept_axes
from voxflow.ops.resampling.resample import Order, Prepared, prepared
from voxflow.ops.resampling.turns import Turn, turned
from voxflow.ops.values.changes import Pieces, Pointwise, applied, segments
from voxflow.ops.values.make import work_type
from voxflow.torch.pinned import upload
from voxflow.torch.tensors import carried, exact

from .changes import centered, changed, pieced
from .lookup import linear, nearest, outside
from .majority import Votes
from .numbers import Values, bits_type, stored
from .positions import Positions

if TYPE_CHECKING:
    from voxflow.pipeline.data import Array

#: The most voxels of a result that are worked on at once (or one row, if that is longer).
BLOCK = 1 << 20


def make_on(voxels: Array | Recipe, device: torch.device | str) -> torch.Tensor:
    """The voxels of an array, of which what is not made yet is made on a device.

    What was read is copied to the device as it is, with control points, matrices and the shifts of
    sections. Positions are computed there, for `BLOCK` voxels at a time, which bounds what is
    needed besides data and result: some 200 bytes for each of these voxels, and 60 for each further
    channel. Values agree with those that the CPU makes up to rounding; labels are the same, except
    where a position lies exactly between two voxels. The array stays as it was.

    Parameters
    ----------
    voxels
        An array, or what is to be done to one.
    device
        "cpu", or one of CUDA.

    Returns
    -------
    torch.Tensor
        Of the shape of the array, and of exactly its type (also uint16, uint32 and uint64, with
        which torch does little more than hold them).

    Raises
    ------
    RuntimeError
        If only what another map shows of the voxels was read.
    ValueError
        If the device does not compute in float64.

    Examples
    --------
    >>> from voxflow.ops.values import Scale
    >>> from voxflow.pipeline.data import Array
    >>> recipe = Recipe.of(Array(np.array([0, 100, 200], np.uint8)))
    >>> make_on(recipe.changed([Scale(0.5)], np.float32), "cpu")
    tensor([  0.,  50., 100.])
    """
    recipe = voxels if isinstance(voxels, Recipe) else Recipe.of(voxels)
    return exact(made(recipe, torch.device(device)), recipe.dtype)


def made(recipe: Recipe, device: torch.device, block: int = BLOCK) -> torch.Tensor:
    """As `make_on`, in bits as `voxflow.torch.tensors.carried` says."""
    recipe.check_whole()
    if device.type == "mps":
        raise ValueError("positions are computed in float64, which mps does not know: use the CPU")
    (_, first), *rest = segments(recipe.changes)
    dtype = recipe.dtype.newbyteorder("=")
    if not rest:
        return _first(recipe, first, dtype, device, block)
    values = _first(recipe, first, work_type(recipe.data.dtype, dtype), device, block)
    for change, then in rest:
        if isinstance(change, Pieces):
            values = changed(pieced(values, change), then)
        elif change is not None:  # only the first segment has none
            values = changed(centered(values, change), then)
    return stored(values, dtype)


def _first(
    recipe: Recipe,
    changes: Sequence[Pointwise],
    dtype: np.dtype[Any],
    device: torch.device,
    block: int,
) -> torch.Tensor:
    """The map, and the changes before the first mean."""
    warp, (begin, voxel_size), data = recipe.warp, recipe.place, recipe.data
    if recipe.mirror is not None:
        data, begin = recipe.mirrored()
    values = Values(data.dtype, changes, dtype)
    where = begin, voxel_size, recipe.offset, recipe.extent
    if warp is None or warp.ndim > NDIM:
        if warp is not None:  # a view
            data = warp.resample(data, *where)
        return values.of(upload(carried(data), device))
    work = prepared(warp.stages(), warp.ndim, data, *where)
    fill = applied(changes[recipe.before :], 0.0)
    moves = exact_moves(work.program)
    if moves is not None:
        turn = turned(*moves, work.volume.shape[-NDIM:], work.shape)
        return _moved(work, turn, values, fill, device).reshape(work.whole)
    if recipe.order == "majority":
        if changes or data.dtype.kind not in "uib":  # what hardly anybody asks for is made here
            made_here = replace(recipe, changes=tuple(changes), type=dtype).make()
            return upload(carried(made_here), device)
        return _voted(work, values, int(fill), device, block).reshape(work.whole)
    return _resampled(work, recipe.order, values, fill, device, block).reshape(work.whole)


def _moved(
    work: Prepared, turn: Turn, values: Values, fill: float, device: torch.device
) -> torch.Tensor:
    """Mirrored and transposed views of what is cropped here; copied only where some is missing."""
    lead = work.volume.ndim - NDIM
    bits = upload(carried(work.volume[turn.crop]), device)
    bits = bits.flip([lead + axis for axis in turn.flips]) if turn.flips else bits
    there = values.of(bits.permute(*range(lead), *[lead + axis for axis in turn.takes]))
    if not any(before or after for before, after in turn.pads):
        return there
    whole = inside = there.new_full((*there.shape[:lead], *work.shape), _in_type(fill, there))
    for axis, ((before, _), n) in enumerate(zip(turn.pads, there.shape[lead:], strict=True)):
        inside = inside.narrow(lead + axis, before, n)
    inside.copy_(there)
    return whole


def _resampled(
    work: Prepared, order: Order, values: Values, fill: float, device: torch.device, block: int
) -> torch.Tensor:
    """Looked up block by block."""
    size = work.volume.shape[work.volume.ndim - NDIM :]
    flat = upload(carried(work.volume), device).reshape(-1, size[0] * size[1] * size[2])
    positions = Positions(work.program, device)
    kept = next(kept_axes(work.program), None)
    out = torch.empty((len(flat), *work.shape), dtype=bits_type(values.result), device=device)
    for box in _boxes(work.shape, block):
        here = positions(box)
        if order == "nearest":
            found = values.of(nearest(flat, here, size))
        else:
            axis = None if kept is None else kept[0]
            found = values.finished(linear(flat, here, size, axis, values.numbers))
        found = found.masked_fill(outside(here, size), _in_type(fill, found))
        (z, ends), (y, stop), _ = box
        out[:, z:ends, y:stop] = found
    return out


def _voted(
    work: Prepared, values: Values, fill: int, device: torch.device, block: int
) -> torch.Tensor:
    """What fills most of each voxel, block by block."""
    size = work.volume.shape[work.volume.ndim - NDIM :]
    flat = upload(carried(work.volume), device).reshape(-1, size[0] * size[1] * size[2])
    votes = Votes(work.program, flat, size, fill, work.volume.dtype.kind == "u")
    out = torch.empty((len(flat), *work.shape), dtype=bits_type(values.result), device=device)
    for box in _boxes(work.shape, max(1, block // votes.voters)):
        (z, ends), (y, stop), _ = box
        out[:, z:ends, y:stop] = values.of(votes(box))
    return out


def _in_type(fill: float, like: torch.Tensor) -> float:
    """Integers are filled with integers."""
    return fill if like.is_floating_point() or like.is_complex() else int(fill)


def _boxes(shape: Sequence[int], block: int) -> Iterator[list[tuple[int, int]]]:
    """Cut a result into boxes of whole rows, of at most `block` voxels if a row has no more."""
    rows = min(shape[1], max(1, block // shape[2]))
    planes = min(shape[0], max(1, block // (rows * shape[2])))
    for z in range(0, shape[0], planes):
        for y in range(0, shape[1], rows):
            yield [(z, min(z + planes, shape[0])), (y, min(y + rows, shape[1])), (0, shape[2])]
