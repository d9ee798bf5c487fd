"""Mirrors and transpositions of any number of axes: only views, nothing is interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..resampling.resample import Order
from ..resampling.stages import Floats, Stage, linear
from .affine import mirror_transpose
from .base import Map, Region, split_axes


@final
@dataclass(frozen=True, eq=False)
class Moves(Map):
    """What `mirror_transpose` does, for more than three axes as well.

    Output axis ``d`` shows input axis ``permutation[d]``; input axes are mirrored about `center`.
    Arrays have to stay on their voxel grid.

    Parameters
    ----------
    center
        what stays when mirroring (world), as an input position.
    mirror
        for each input axis, whether it is mirrored.
    permutation
        for each output axis, the input axis it shows.
    pivot
        what stays when transposing (world).

    Examples
    --------
    >>> flip = Moves([2.0] * 4, [True, False, False, False], [0, 1, 3, 2], [0.0] * 4)
    >>> flip.pull([[0.5, 1.0, 2.0, 3.0]]).tolist()
    [[3.5, 1.0, 3.0, 2.0]]
    """

    center: Sequence[float]
    mirror: Sequence[bool]
    permutation: Sequence[int]
    pivot: Sequence[float]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.center)

    def stages(self) -> tuple[Stage, ...]:
        """One linear stage; only for up to three axes, as that is what a program has."""
        if self.ndim <= 3:
            same = mirror_transpose(self.center, self.mirror, self.permutation, self.pivot)
            return same.stages()
        return (linear(*self._matrix()),)

    def points(self, locations: ArrayLike) -> Floats:
        """Where input positions come to lie in the output; see `Map.points`."""
        positions, own = split_axes(locations, self.ndim)
        matrix, shift = self._matrix()
        positions[:, own] = (positions[:, own] - shift) @ matrix
        return positions

    def source(
        self, roi: Region, voxel_size: Sequence[Any], order: Order = "linear"
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The voxels that are read for an array over `roi`; see `Map.source`."""
        extra = len(voxel_size) - self.ndim
        begin = list(roi.offset)
        end = [b + s for b, s in zip(roi.offset, roi.shape, strict=True)]
        low, _ = self.reach([float(v) for v in begin], [float(v) for v in end])
        for axis, source in enumerate(self.permutation, extra):
            size, to = voxel_size[axis], extra + source
            # Counted in voxels from the begin, such that world units stay exact.
            begin[to] = roi.offset[to] + size * round(
                (float(low[to]) - float(roi.offset[to])) / float(size)
            )
            end[to] = begin[to] + roi.shape[axis]
        return tuple(begin), tuple(end)

    def reach(self, begin: Sequence[float], end: Sequence[float]) -> tuple[Floats, Floats]:
        """The box of all input positions that a box shows (world)."""
        corners = self.pull([[float(v) for v in begin], [float(v) for v in end]])
        return corners.min(axis=0), corners.max(axis=0)

    def resample(
        self,
        data: NDArray[Any],
        in_offset: Sequence[Any],
        voxel_size: Sequence[Any],
        out_offset: Sequence[Any],
        out_shape: Sequence[int],
        *,
        order: Order = "linear",
        fill: float = 0,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """A view of the data, unless voxels outside of them are read; see `Map.resample`."""
        extra, lead = len(out_shape) - self.ndim, data.ndim - len(out_shape)
        end = [o + n * v for o, n, v in zip(out_offset, out_shape, voxel_size, strict=True)]
        low, high = self.reach([float(v) for v in out_offset], [float(v) for v in end])
        slices, pads = [slice(None)] * lead, [(0, 0)] * lead
        for axis, size in enumerate(voxel_size):
            first = round((float(low[axis]) - float(in_offset[axis])) / float(size))
            last = round((float(high[axis]) - float(in_offset[axis])) / float(size))
            begin, stop = np.clip([first, last], 0, data.shape[lead + axis]).tolist()
            slices.append(slice(begin, stop))
            before = min(begin - min(first, begin), last - first)
            pads.append((before, last - first - before - (stop - begin)))
        read = data[tuple(slices)]
        if any(any(pad) for pad in pads):
            read = np.pad(read, pads, constant_values=fill)
        flips = tuple(lead + extra + axis for axis, flip in enumerate(self.mirror) if flip)
        axes = [*range(lead + extra), *(lead + extra + source for source in self.permutation)]
        view: NDArray[Any] = np.flip(read, flips).transpose(axes)
        return view if dtype is None else view.astype(dtype, copy=False)

    @property
    def is_identity(self) -> bool:
        """Whether the map leaves every position exactly where it is."""
        return not any(self.mirror) and list(self.permutation) == list(range(self.ndim))

    def _matrix(self) -> tuple[Floats, Floats]:
        """Matrix and shift from output to input positions."""
        center, pivot = np.array(self.center, float), np.array(self.pivot, float)
        swap = np.zeros((self.ndim, self.ndim))
        swap[list(self.permutation), np.arange(self.ndim)] = 1.0
        flip = np.diag(np.where(self.mirror, -1.0, 1.0))
        return flip @ swap, center + flip @ (pivot - swap @ pivot - center)
