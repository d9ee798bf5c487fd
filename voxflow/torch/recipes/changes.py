"""Changes of values as operations of torch; see `voxflow.ops.values.changes`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from voxflow.ops.values.changes import (
    CLIP,
    SCALE,
    Clip,
    Contrast,
    Gamma,
    Pieces,
    Pointwise,
    Scale,
    fused,
)


def changed(values: torch.Tensor, changes: Iterable[Pointwise]) -> torch.Tensor:
    """Values of floating point after changes of each by itself.

    Examples
    --------
    >>> changed(torch.tensor([0.0, 1.0, 2.0]), [Scale(2.0), Clip(0.0, 3.0)])
    tensor([0., 2., 3.])
    """
    for change in fused(changes):
        if isinstance(change, Scale):
            values = values * change.scale + change.shift
        elif isinstance(change, Clip):
            values = values.clamp(change.low, change.high)
        elif isinstance(change, Gamma):
            values = values**change.exponent
        else:
            values = torch.floor(values + 0.5)
    return values


def centered(values: torch.Tensor, contrast: Contrast) -> torch.Tensor:
    """Values with each piece changed about its own mean, which is summed in float64.

    Examples
    --------
    >>> whole = Contrast((2,), np.array([2.0]), np.array([0.0]))
    >>> centered(torch.tensor([1.0, 3.0]), whole)
    tensor([0., 4.])
    """
    means = _means(values, contrast)
    scale = torch.tensor(contrast.scale, dtype=torch.float64, device=values.device)
    shift = torch.tensor(contrast.shift, dtype=torch.float64, device=values.device)
    summand = (means * (1.0 - scale) + shift).to(values.dtype)
    factor = scale.to(values.dtype)
    return values * _spread(factor, values, contrast) + _spread(summand, values, contrast)


def pieced(values: torch.Tensor, change: Pieces) -> torch.Tensor:
    """Values with each piece changed by changes of its own.

    Examples
    --------
    >>> doubled = Pieces((1,), np.array([[[1.0, 2.0, 0.0]], [[1.0, 1.0, 0.5]]]))
    >>> pieced(torch.tensor([1.0, 3.0]), doubled)
    tensor([2.0000, 3.5000])
    """
    steps = torch.tensor(change.steps, dtype=values.dtype, device=values.device)
    for i in range(steps.shape[-2]):
        a, b = (_spread(steps[..., i, k], values, change) for k in (1, 2))
        kind = change.steps[..., i, 0].flat[0]
        if kind == SCALE:
            values = values * a + b
        elif kind == CLIP:
            values = torch.minimum(torch.maximum(values, a), b)
        else:
            values = values**a
    return values


def _spread(each: torch.Tensor, values: torch.Tensor, change: Contrast | Pieces) -> torch.Tensor:
    """A number for each piece, as one that fits each value."""
    for axis, (n, size) in enumerate(zip(values.shape, change.pieces, strict=True)):
        if 1 < size < n:
            piece = torch.arange(n, device=values.device) // size
            each = each.index_select(axis, piece)
    return each


def _means(values: torch.Tensor, contrast: Contrast) -> torch.Tensor:
    """The mean of each piece, float64. Sums of fixed order: no scattered additions."""
    axes = list(enumerate(zip(values.shape, contrast.pieces, strict=True)))
    whole = [axis for axis, (n, size) in axes if size >= n]
    sums = values.sum(whole, True, dtype=torch.float64) if whole else values.double()
    counts = np.ones((1,) * values.dim())
    for axis, (n, size) in axes:
        pieces = math.ceil(n / size) if n else 1
        each = np.minimum(size, n - size * np.arange(pieces))
        counts = counts * each.reshape([-1 if a == axis else 1 for a in range(sums.dim())])
        if 1 < size < n:
            sums = _summed(sums, axis, size, pieces)
    return sums / torch.tensor(np.maximum(counts, 1.0), device=values.device)


def _summed(values: torch.Tensor, axis: int, size: int, pieces: int) -> torch.Tensor:
    """The sums of pieces along one axis; the last may be smaller."""
    shape = list(values.shape)
    shape[axis] = pieces * size - shape[axis]
    padded = torch.cat([values, values.new_zeros(shape)], axis)
    sums: torch.Tensor = padded.unflatten(axis, (pieces, size)).sum(axis + 1)
    return sums
