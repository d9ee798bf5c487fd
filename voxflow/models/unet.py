"""A U-Net for one to three spatial axes, made of valid (or same) convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

__all__ = ["UNet"]

Padding = Literal["valid", "same"]
Kernels = Sequence[Sequence[int]]

# By number of spatial axes, less one.
_CONV: tuple[Any, ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOL: tuple[Any, ...] = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_NORM: tuple[Any, ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_UP: tuple[Any, ...] = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class UNet(nn.Module):
    """Convolve and pool on the way down, upsample and merge on the way up.

    With valid convolutions the output is smaller than the input, and every output voxel has seen
    real input only. The pooling grids make the network repeat itself only every `period` voxels
    (the product of the downsampling factors): two blocks agree where they overlap if they lie a
    multiple of it apart. So the output is cropped to a multiple of the period, and blocks laid
    side by side give what the whole would.

    Weights are drawn (from torch's generator) such that signals keep their size through the ReLUs
    (He et al. 2015). The output has no activation: use ``nn.Sequential(UNet(...), nn.Sigmoid())``.
    The sizes that it takes are found by `voxflow.models.geometry.analyse`.

    Parameters
    ----------
    in_channels, out_channels
        Feature maps of the input and of the output.
    fmaps
        Feature maps of the topmost level.
    fmap_factor
        How many times more each further level has.
    downsample
        One factor per axis for each step down; as many levels as entries, plus one. The number of
        spatial axes is that of the factors.
    kernels
        The convolutions of each level, one kernel size per axis each. Default: two of size 3.
    level_kernels
        Other convolutions for some levels, 0 the topmost.
    padding
        "valid": none. "same": with zeros, so that output and input are of equal size; then seams
        appear between blocks unless they overlap.
    equivariant
        Crop the output to a multiple of `period` (no effect with "same").
    batch_norm
        Normalise after each convolution, over samples and voxels (Ioffe and Szegedy 2015).
    dropout
        How likely a value of the lowest level is left out in training.

    Raises
    ------
    ValueError
        The sizes given do not fit together; in the forward pass, the input has no valid size.

    Examples
    --------
    >>> from voxflow.models.geometry import analyse
    >>> net = UNet(1, 3, fmaps=2, downsample=[(1, 3, 3)] * 2)
    >>> net.period
    (1, 9, 9)
    >>> analyse(net).fit((50, 120, 120))
    ((50, 115, 115), (30, 45, 45))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        fmaps: int = 12,
        fmap_factor: int = 4,
        downsample: Sequence[Sequence[int]] = ((2, 2, 2), (2, 2, 2), (2, 2, 2)),
        kernels: Kernels | None = None,
        level_kernels: Mapping[int, Kernels] | None = None,
        padding: Padding = "valid",
        equivariant: bool = True,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        factors = [tuple(factor) for factor in downsample]
        dims = _check_factors(factors)
        default = [(3,) * dims] * 2 if kernels is None else kernels
        levels = range(len(factors) + 1)
        stacks = [_check_kernels((level_kernels or {}).get(n, default), dims) for n in levels]
        widths = [fmaps * fmap_factor**n for n in levels]
        before = [in_channels, *widths[:-1]]

        self.period = tuple(math.prod(column) for column in zip(*factors, strict=True))
        self.equivariant = equivariant and padding == "valid"
        down = [_convolve(before[n], widths[n], stacks[n], padding, batch_norm) for n in levels]
        if dropout:
            down[-1].append(nn.Dropout(dropout))
        self.down = nn.ModuleList(down)
        self.pool = nn.ModuleList(_POOL[dims - 1](factor, factor) for factor in factors)
        self.upsample = nn.ModuleList(
            _UP[dims - 1](widths[n + 1], widths[n], factors[n], factors[n])
            for n in range(len(factors))
        )
        self.up = nn.ModuleList(
            _convolve(2 * widths[n], widths[n], stacks[n], padding, batch_norm)
            for n in range(len(factors))
        )
        self.head = _CONV[dims - 1](widths[0], out_channels, 1)
        self.apply(initialise)
        self._factors = factors
        self._lost = tuple(sum(sizes) - len(sizes) for sizes in zip(*stacks[0], strict=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(sample, channel, \\*spatial) of a valid size -> (sample, out channel, \\*spatial)."""
        kept = []
        for level, (convolve, pool) in enumerate(zip(self.down, self.pool, strict=False)):
            x = convolve(x)
            self._check_divisible(x, level)
            kept.append(x)
            x = pool(x)
        x = self.down[-1](x)
        for level in reversed(range(len(kept))):
            x = self.upsample[level](x)
            if level == 0 and self.equivariant:
                x = _crop(x, self._multiple_of_period(x))
            x = self.up[level](torch.cat([_crop(kept[level], x.shape[2:]), x], dim=1))
        return self.head(x)  # type: ignore[no-any-return]

    def _multiple_of_period(self, x: torch.Tensor) -> list[int]:
        """The largest centred size for which the last convolutions give a multiple of period."""
        sizes = []
        for size, lost, period in zip(x.shape[2:], self._lost, self.period, strict=True):
            extra = (size - lost) % period
            extra += period if extra % 2 else 0  # crop the same on both sides
            if extra % 2 or extra >= size - lost:
                raise ValueError(
                    f"an output of {tuple(x.shape[2:])} voxels minus {self._lost} cannot be "
                    f"cropped to a multiple of the period {self.period} around its centre; take "
                    "a larger input, odd kernels, or equivariant=False"
                )
            sizes.append(size - extra)
        return sizes

    def _check_divisible(self, x: torch.Tensor, level: int) -> None:
        factor = self._factors[level]
        if any(size % f for size, f in zip(x.shape[2:], factor, strict=True)):
            raise ValueError(
                f"level {level} of the U-Net has {tuple(x.shape[2:])} voxels, which is no "
                f"multiple of its downsampling factor {factor}: the input is of no valid size "
                "(voxflow.models.geometry.analyse(net) tells which ones are)"
            )


def _check_factors(factors: Sequence[Sequence[int]]) -> int:
    lengths = {len(factor) for factor in factors}
    if len(lengths) != 1 or not 1 <= next(iter(lengths)) <= 3:
        raise ValueError(
            "a U-Net goes down at least once, with one factor per axis, for 1 to 3 axes; got "
            f"downsample={list(factors)}"
        )
    if any(f < 1 for factor in factors for f in factor):
        raise ValueError(f"downsampling factors are positive; got {list(factors)}")
    return lengths.pop()


def _check_kernels(kernels: Kernels, dims: int) -> list[tuple[int, ...]]:
    stack = [tuple(kernel) for kernel in kernels]
    if not stack or any(len(kernel) != dims or min(kernel) < 1 for kernel in stack):
        raise ValueError(
            f"each level has one convolution or more, each with {dims} positive kernel sizes "
            f"(one per axis, as in downsample); got {stack}"
        )
    return stack


def _convolve(
    before: int,
    width: int,
    kernels: Sequence[tuple[int, ...]],
    padding: Padding,
    batch_norm: bool,
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for kernel in kernels:
        dims = len(kernel)
        layers.append(_CONV[dims - 1](before, width, kernel, padding=padding, bias=not batch_norm))
        if batch_norm:
            layers.append(_NORM[dims - 1](width))
        layers.append(nn.ReLU(inplace=True))
        before = width
    return nn.Sequential(*layers)


def initialise(module: nn.Module) -> None:
    """Keep the variance of the signal, which a ReLU before it has halved."""
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        inputs = module.in_channels * math.prod(module.kernel_size)
    elif isinstance(module, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        inputs = module.in_channels  # kernel and stride are equal: one tap per output voxel
    else:
        return
    nn.init.normal_(module.weight, std=math.sqrt(2 / inputs))
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _crop(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The middle of a feature map."""
    for axis, size in enumerate(shape, start=2):
        spare = x.shape[axis] - size
        if spare < 0 or spare % 2:
            raise ValueError(
                f"cannot crop {tuple(x.shape[2:])} voxels to {tuple(shape)} around the centre; "
                "take a larger input, or odd kernels"
            )
        if spare:
            x = x.narrow(axis, spare // 2, size)
    return x
