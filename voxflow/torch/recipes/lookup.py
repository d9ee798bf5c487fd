"""From positions to voxels on a device, with the conventions of `voxflow.ops.resampling.lookup`.

Data are flat tensors of shape (leading axes as one, voxels), in the bits of
`voxflow.torch.tensors.carried`; results have the leading axis and the three axes of the positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .positions import Position

_EDGE = 1e-6  # in voxels: rounding noise that still counts as inside


def strides_of(size: Sequence[int]) -> tuple[int, int, int]:
    """From voxel to voxel in a C-contiguous volume, along each of its three axes."""
    return size[1] * size[2], size[2], 1


def outside(here: Position, size: Sequence[int]) -> torch.Tensor:
    """Where positions lie outside of the data: more than half a voxel beyond the last centre."""
    masks = [(p < -0.5 - _EDGE) | (p > n - 0.5 + _EDGE) for p, n in zip(here, size, strict=True)]
    return masks[0] | masks[1] | masks[2]


def nearest(flat: torch.Tensor, here: Position, size: Sequence[int]) -> torch.Tensor:
    """The nearest voxel; exactly between two voxels the upper one is taken."""
    at = sum(
        (p + 0.5).clamp(0.0, n - 1.0).long() * stride
        for p, n, stride in zip(here, size, strides_of(size), strict=True)
    )
    return flat[:, at]


def linear(
    flat: torch.Tensor,
    here: Position,
    size: Sequence[int],
    kept: int | None,
    numbers: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Between the 2, 4 or 8 voxels around each position.

    Parameters
    ----------
    flat
        the data.
    here
        the positions.
    size
        voxels of the data along its three axes.
    kept
        an axis along which all positions are whole: nothing is interpolated along it.
    numbers
        makes of voxels the numbers to compute with.
    """
    lower: list[torch.Tensor] = []
    fractions: list[torch.Tensor | None] = []
    for axis, (p, n) in enumerate(zip(here, size, strict=True)):
        inside = p.clamp(0.0, n - 1.0)
        if axis == kept or n == 1:
            lower.append((inside + 0.5).long())
            fractions.append(None)
        else:
            lower.append(inside.long().clamp(max=n - 2))
            fractions.append(inside - lower[-1])
    strides = strides_of(size)
    base = lower[0] * strides[0] + lower[1] * strides[1] + lower[2] * strides[2]
    return _blended(flat, base, strides, fractions, numbers)


def _blended(
    flat: torch.Tensor,
    base: torch.Tensor,
    strides: Sequence[int],
    fractions: Sequence[torch.Tensor | None],
    numbers: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Interpolate along the first axis what is interpolated along the others."""
    if not strides:
        return numbers(flat[:, base])
    rest = strides[1:], fractions[1:], numbers
    low = _blended(flat, base, *rest)
    fraction = fractions[0]
    if fraction is None:
        return low
    high = _blended(flat, base + strides[0], *rest)
    return low + (high - low) * fraction.to(low.dtype)
