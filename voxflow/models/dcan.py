"""A contour-aware network for images of cells: objects and their boundaries, from one path down."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from voxflow.models.unet import initialise

__all__ = ["DCAN"]

Activation = Literal["tanh", "sigmoid"]

# Of each level, in units of `fmaps`; there is a pooling between two.
_WIDTHS = (1, 2, 4, 8, 8, 16)
# Levels that the output is made of: those with voxels of 8, 16 and 32 voxels of the input.
_SIDES = (3, 4, 5)
_PERIOD = 32


class DCAN(nn.Module):
    """Convolve and pool on the way down, and tell objects and boundaries from the last levels.

    The deep contour-aware network of Chen et al. (CVPR 2016, pp. 2487-2496; Medical Image Analysis
    36, 2017). All heads share the path down. Each of them upsamples what the last three levels see,
    in one step each, to the size of the input, and adds up the three maps. An object is where its
    head says so and that of the boundaries does not: `heads` 0 and 1.

    Input and output have two spatial axes, and are of equal size, a multiple of 32. Convolutions
    pad with zeros, so that seams appear between blocks unless they overlap.

    Parameters
    ----------
    in_channels
        Feature maps of the input.
    heads
        Feature maps of the output: objects and boundaries.
    fmaps
        Feature maps of the topmost level; the last one has 16 times as many.
    dropout
        How many of the values of a map are left out in training, before the maps are added up.
    final_activation
        None: the output is logits, for losses and with a sigmoid of your own. "tanh" or "sigmoid":
        the maps are made positive, added up, and squeezed to 0 ... 1 by ``tanh(x)`` or
        ``2 * sigmoid(x) - 1``.
    auxiliary
        Whether the output is a tuple: the output, and what it would be of each of the three levels
        alone, of voxels of 8, 16 and 32 first. Losses of them help the deep levels to learn.

    Raises
    ------
    ValueError
        An option is out of its range; in the forward pass, the input has no valid size.

    Examples
    --------
    >>> net = DCAN(1, fmaps=2, auxiliary=True)
    >>> output, *sides = net(torch.zeros(2, 1, 64, 96))
    >>> output.shape, len(sides), sides[0].shape
    (torch.Size([2, 2, 64, 96]), 3, torch.Size([2, 2, 64, 96]))
    """

    def __init__(
        self,
        in_channels: int,
        heads: int = 2,
        *,
        fmaps: int = 64,
        dropout: float = 0.5,
        final_activation: Activation | None = None,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        if min(in_channels, heads, fmaps) < 1:
            raise ValueError(
                f"in_channels, heads and fmaps are at least 1; got {in_channels}, {heads}, {fmaps}"
            )
        if final_activation not in (None, "tanh", "sigmoid"):
            raise ValueError(
                f"final_activation is 'tanh', 'sigmoid' or None for logits; got "
                f"{final_activation!r}"
            )
        widths = [fmaps * width for width in _WIDTHS]
        before = [in_channels, *widths[:-1]]
        self.final_activation = final_activation
        self.auxiliary = auxiliary
        self.down = nn.ModuleList(_convolve(a, b) for a, b in zip(before, widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        positive = final_activation is not None
        self.sides = nn.ModuleList(
            _upsample(widths[level], heads, 2**level, dropout, positive) for level in _SIDES
        )
        self.apply(initialise)
        for side in self.sides:
            _begin(side)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """(sample, channel, y, x) of a valid size -> (sample, head, y, x), or a tuple of such."""
        _check(x)
        kept = []
        for level, convolve in enumerate(self.down):
            x = convolve(self.pool(x) if level else x)
            kept.append(x)
        sides = [side(kept[level]) for side, level in zip(self.sides, _SIDES, strict=True)]
        output = self._squeezed(torch.stack(sides).sum(0))
        return (output, *map(self._squeezed, sides)) if self.auxiliary else output

    def _squeezed(self, x: torch.Tensor) -> torch.Tensor:
        if self.final_activation == "tanh":
            return torch.tanh(x)
        return 2 * torch.sigmoid(x) - 1 if self.final_activation == "sigmoid" else x


def _check(x: torch.Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(
            f"a DCAN takes images, of shape (sample, channel, y, x); got {tuple(x.shape)}"
        )
    size = tuple(x.shape[2:])
    if any(n % _PERIOD or not n for n in size):
        near = tuple(math.ceil(max(n, 1) / _PERIOD) * _PERIOD for n in size)
        raise ValueError(
            f"a DCAN takes images whose size is a multiple of {_PERIOD} along both axes; got "
            f"{size}. Pad or resize them, to {near} for example (voxflow.FitToSize)"
        )


def _convolve(before: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for maps in (before, width):
        layers.append(nn.Conv2d(maps, width, 3, padding=1, bias=False))
        layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _upsample(width: int, heads: int, factor: int, dropout: float, positive: bool) -> nn.Sequential:
    """One map for each head, in the size of the input; heads do not see one another."""
    layers = [
        nn.ConvTranspose2d(width, heads, 2 * factor, factor, factor // 2, bias=False),
        nn.BatchNorm2d(heads),
        # Logits are free to be negative: what is cut off at 0 would learn nothing more.
        nn.ReLU(inplace=True) if positive else nn.Identity(),
        nn.Conv2d(heads, heads, 1, groups=heads),
        *([nn.ReLU(inplace=True)] if positive else []),
        nn.Dropout(dropout),
    ]
    return nn.Sequential(*layers)


def _begin(side: nn.Module) -> None:
    """Let each map pass at first: with a negative weight, a map that is made positive is dead."""
    up, last = side[0], side[3]  # type: ignore[index]
    taps = 4  # of the kernel, at each voxel: it is twice as large as the stride
    nn.init.normal_(up.weight, std=math.sqrt(1 / (up.in_channels * taps)))
    nn.init.ones_(last.weight)
