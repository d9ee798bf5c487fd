"""What fills most of a voxel's cell, on a device; see `voxflow.ops.resampling.majority`."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from voxflow.ops.resampling.cells import refined, subgrid
from voxflow.ops.resampling.stages import Stage

from .lookup import nearest, outside
from .positions import Positions

Box = Sequence[tuple[int, int]]


class Votes:
    """Has the voxels of boxes of a result voted on.

    Parameters
    ----------
    program
        From indices of the result to indices of the data.
    flat
        The data, integers or bools, of shape (leading axes as one, voxels).
    size
        Voxels of the data along its three axes.
    fill
        What lies outside of them.
    unsigned
        Whether the integers are the bits of unsigned ones, which counts for which is the smallest.
    """

    def __init__(
        self,
        program: Sequence[Stage],
        flat: torch.Tensor,
        size: Sequence[int],
        fill: int,
        unsigned: bool,
    ) -> None:
        self._parts = [int(n) for n in subgrid(program)]
        self._fine = Positions(refined(program, subgrid(program)), flat.device)
        self._centres = Positions(program, flat.device)
        self._flat, self._size, self._fill = flat, size, fill
        self._flip = unsigned and flat.dtype in (torch.int16, torch.int32, torch.int64)

    @property
    def voters(self) -> int:
        """How many parts of a voxel there are."""
        return self._parts[0] * self._parts[1] * self._parts[2]

    def __call__(self, box: Box) -> torch.Tensor:
        """The voxels of a box; where several are equally frequent, as the CPU decides."""
        centre = self._looked_up(self._centres, box)
        finer = [(a * k, b * k) for (a, b), k in zip(box, self._parts, strict=True)]
        shape = [n for pair in zip(centre.shape[1:], self._parts, strict=True) for n in pair]
        parts = self._looked_up(self._fine, finer).reshape(-1, *shape)
        parts = parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(*centre.shape, self.voters)
        best, most = _most_frequent(self._ordered(parts))
        winner = self._ordered(best).to(centre.dtype)
        return torch.where((parts == centre[..., None]).sum(-1) == most, centre, winner)

    def _looked_up(self, positions: Positions, box: Box) -> torch.Tensor:
        here = positions(box)
        found = nearest(self._flat, here, self._size)
        found = found.masked_fill(outside(here, self._size), self._fill)
        return found.expand(-1, *[b - a for a, b in box])

    def _ordered(self, bits: torch.Tensor) -> torch.Tensor:
        """In an order that signed numbers have, too, and back."""
        if bits.dtype == torch.bool:
            return bits.to(torch.uint8)
        return bits ^ torch.iinfo(bits.dtype).min if self._flip else bits


def _most_frequent(parts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The most frequent along the last axis, of several the smallest; and how frequent it is."""
    line = parts.sort(-1).values
    best = line[..., 0]
    run = most = torch.ones(best.shape, dtype=torch.int64, device=best.device)
    for i in range(1, line.shape[-1]):
        run = torch.where(line[..., i] == line[..., i - 1], run + 1, 1)
        best = torch.where(run > most, line[..., i], best)
        most = torch.maximum(run, most)
    return best, most
