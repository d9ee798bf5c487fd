"""Maps that only mirror, transpose and crop: nothing is interpolated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..mirrored import mirrored
from .borders import Mirror
from .program import NDIM

Array = NDArray[Any]
Moves = tuple[NDArray[np.int64], NDArray[np.int64]]


class Turn(NamedTuple):
    """How to mirror, transpose and crop three axes.

    Attributes
    ----------
    crop
        what to take of the data; leading axes are taken whole.
    flips
        the input axes that are mirrored then.
    takes
        the input axis that each output axis shows.
    pads
        how much of the result lies outside of the data on each side of each output axis.
    """

    crop: tuple[Any, ...]
    flips: tuple[int, ...]
    takes: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]


def turned(
    matrix: NDArray[np.int64], shift: NDArray[np.int64], there: Sequence[int], shape: Sequence[int]
) -> Turn:
    """What a map does that `program.exact_moves` gave, to `shape` voxels of `there`."""
    takes, pads, slices = [0] * NDIM, [(0, 0)] * NDIM, []
    for axis in range(NDIM):
        out_axis = int(np.flatnonzero(matrix[axis])[0])
        takes[out_axis] = axis
        n, sign = shape[out_axis], int(matrix[axis, out_axis])
        begin = int(shift[axis]) if sign > 0 else int(shift[axis]) - (n - 1)
        low, high = min(max(begin, 0), there[axis]), min(max(begin + n, 0), there[axis])
        before = min(max(low - begin, 0), n) if high > low else n
        pad = (before, n - before - (high - low))
        slices.append(slice(low, high))
        pads[out_axis] = pad if sign > 0 else (pad[1], pad[0])
    flips = tuple(axis for axis in range(NDIM) if matrix[axis].min() < 0)
    return Turn((..., *slices), flips, tuple(takes), tuple(pads))


def unfolded(
    volume: Array, moves: Moves, shape: Sequence[int], mirror: Mirror
) -> tuple[Array, Moves]:
    """What `program.exact_moves` gave, of data that are mirrored as far as they are looked at."""
    matrix, shift = moves
    counts = np.abs(matrix) @ np.asarray(shape)
    begins = np.where(matrix.sum(axis=1) > 0, shift, shift - (counts - 1))
    repeated = mirror == "symmetric"
    there = mirrored(volume, begins.tolist(), counts.tolist(), repeated=repeated)
    return there, (matrix, shift - begins)


def moved(volume: Array, turn: Turn) -> Array:
    """A view, without what lies outside of the data."""
    lead = volume.ndim - NDIM
    view: Array = np.flip(volume[turn.crop], tuple(lead + axis for axis in turn.flips))
    return view.transpose(*range(lead), *[lead + axis for axis in turn.takes])
