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

_BLOCK = 1 << 24  # voxels that are read at once
_QUICK = 1 << 28  # voxels that need no bar


class Upstream:
    """Which voxels of an array count, read from upstream by boxes of voxels.

    Parameters
    ----------
    node
        Who reads it.
    key
        The array: bounded and without channels.
    limit
        What is above it counts.
    included
        Whether what is equal to it counts as well.

    Raises
    ------
    KeyError
        If it is not provided upstream.
    ValueError
        If it has no region or no bounds; when read, if it has channels.
    """

    def __init__(self, node: Located, key: ArrayKey, limit: int, included: bool) -> None:
        self._node, self._key = node, key
        spec = node.bounded(key)
        self._begin, self._voxel = spec.region.begin, spec.grid
        self.shape = tuple(int(n) for n in spec.region.shape / spec.grid)
        self._limit = limit
        self._compare: Callable[..., Any] = operator.ge if included else operator.gt

    def __call__(self, box: Box) -> np.ndarray[Any, Any]:
        """The booleans of a box."""
        begin, end = zip(*box, strict=True)
        roi = Roi(
            self._begin + self._voxel * Coordinate(begin),
            self._voxel * (Coordinate(end) - Coordinate(begin)),
        )
        data = self._node.read_part(self._key, roi).data
        if data.ndim != len(box):
            raise ValueError(
                f"{self._node.name()}: {self._key} has {data.ndim} axes, but only "
                f"{len(box)} axes in the world; a mask has no channels"
            )
        found: np.ndarray[Any, Any] = self._compare(data, self._limit)
        return found


def read_mask(upstream: Upstream, label: str) -> BitGrid:
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
