"""A mask that is upstream, read block by block."""

from __future__ import annotations

import operator
from math import prod
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from voxflow.nodes.locations.cells import BitGrid
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from voxflow.nodes.locations.cells import Box
    from voxflow.nodes.locations.located import Located
    from voxflow.pipeline.data import ArrayKey

_BLOCK = 1 << 22  # voxels that are read at once
_QUICK = 1 << 28  # voxels that need no bar


class Upstream:
    """An array that is read from upstream by boxes of voxels.

    Parameters
    ----------
    node
        Who reads it.
    key
        The array: bounded and without channels.

    Raises
    ------
    KeyError
        If it is not provided upstream.
    ValueError
        If it has no region or no bounds; when read, if it has channels.
    """

    def __init__(self, node: Located, key: ArrayKey) -> None:
        self._node, self._key = node, key
        spec = node.bounded(key)
        self._begin, self._voxel = spec.region.begin, spec.grid
        self.shape = tuple(int(n) for n in spec.region.shape / spec.grid)

    def __call__(self, box: Box) -> np.ndarray[Any, Any]:
        """The values of a box."""
        begin, end = zip(*box, strict=True)
        roi = Roi(
            self._begin + self._voxel * Coordinate(begin),
            self._voxel * (Coordinate(end) - Coordinate(begin)),
        )
        data: np.ndarray[Any, Any] = self._node.read_part(self._key, roi).data
        if data.ndim != len(box):
            raise ValueError(
                f"{self._node.name()}: {self._key} has {data.ndim} axes, but only "
                f"{len(box)} axes in the world; a mask has no channels"
            )
        return data


class Counting(Upstream):
    """Which voxels of an array count, read from upstream.

    Parameters
    ----------
    node, key
        See `Upstream`.
    zero
        Whether 0 counts, as what is above 0 does.
    """

    def __init__(self, node: Located, key: ArrayKey, zero: bool) -> None:
        super().__init__(node, key)
        self._compare: Callable[..., Any] = operator.ge if zero else operator.gt

    def __call__(self, box: Box) -> np.ndarray[Any, Any]:
        """The booleans of a box."""
        counts: np.ndarray[Any, Any] = self._compare(super().__call__(box), 0)
        return counts


def read_mask(upstream: Counting, label: str) -> BitGrid:
    """Read all of a mask once, and keep what there is room for.

    Parameters
    ----------
    upstream
        Where it comes from.
    label
        What it is, for the bar that is shown while a long one is read.
    """
    grid = BitGrid(upstream.shape, upstream)
    boxes = list(grid.cells.boxes(_BLOCK))
    quick = prod(upstream.shape) < _QUICK
    for box in tqdm(boxes, f"reading {label}", unit="block", leave=False, disable=quick):
        grid.keep(box, upstream(box))
    return grid
