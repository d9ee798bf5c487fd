"""The sub-points at which a voxel's cell is looked at: a finer grid of output voxels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .program import NDIM, kept_axes
from .stages import Stage

#: A cell has at most so many sub-points along an axis, however much a map shrinks.
MOST = 8

_FEWEST = 2
_NOISE = 1e-6  # voxels: a span that is larger than a whole number by less is that number


def subgrid(program: Sequence[Stage]) -> NDArray[np.int64]:
    """How many sub-points a cell has along each output axis.

    As many as an output voxel spans input voxels along that axis, rounded up, at least 2 and at
    most `MOST`: where a map shrinks by a whole factor up to that, each sub-point is an input
    voxel. 1 along an axis that the map takes over voxel by voxel, such as the one across the
    sections of a series: a section is looked at in its middle. What counts is the linear part of
    the map, such that the number is the same wherever the output lies.

    Parameters
    ----------
    program
        from output to input indices, see `program.build`.

    Examples
    --------
    >>> from .stages import scaling
    >>> subgrid([scaling(np.array([1.0, 3.0, 0.7]), np.array([0.0, 1.0, 0.0]))]).tolist()
    [1, 3, 2]
    """
    matrix = np.eye(NDIM)
    for stage in program:
        matrix = stage.matrix @ matrix
    spans = np.sqrt((matrix * matrix).sum(axis=0))
    parts: NDArray[np.int64] = np.clip(np.ceil(spans - _NOISE), _FEWEST, MOST).astype(np.int64)
    for _, axis in kept_axes(program):
        if abs(spans[axis] - 1.0) < _NOISE:
            parts[axis] = 1
    return parts


def refined(program: Sequence[Stage], parts: NDArray[np.int64]) -> tuple[Stage, ...]:
    """The same program for an output whose voxels are cut into `parts` along each axis.

    Examples
    --------
    >>> from .stages import scaling
    >>> whole = scaling(np.array([1.0, 1.0, 2.0]), np.array([0.0, 0.0, 0.5]))
    >>> (fine,) = refined([whole], np.array([1, 1, 2]))
    >>> fine.matrix.diagonal().tolist(), fine.shift.tolist()
    ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    """
    first, *rest = program
    # The centre of part m of voxel j lies at j + (m + 1/2) / parts - 1/2.
    begin = first.matrix @ (0.5 / parts - 0.5)
    return Stage(first.matrix / parts, first.shift + begin), *rest
