"""Fewer voxels."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.nodes.values.factors import ByFactor
from voxflow.pipeline.geometry import Coordinate


class DownSample(ByFactor):
    """Adds an array of every n-th voxel of another one.

    The first of the voxels is taken that a larger one covers. `Resample` smoothes before.

    Parameters
    ----------
    source
        The array that there is.
    factor
        Every how many voxels one is taken: one number, or one for each spatial axis.
    target
        The array to make. It is offered where the source is, in whole voxels.

    Raises
    ------
    TypeError
        If `source` or `target` is no `ArrayKey`, or a factor is not whole.
    ValueError
        If a factor is below 1. At setup: if there is not one for each axis, or the source is
        smaller than a voxel.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw, coarse = gp.ArrayKey("RAW"), gp.ArrayKey("COARSE")
    >>> line = gp.ArraySource(raw, np.arange(8), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.DownSample(raw, 2, coarse)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({coarse: gp.Roi((8,), (24,))}))[coarse].data
    array([2, 4, 6])
    """

    def resized(self, voxel_size: Coordinate, factor: Coordinate) -> Coordinate:
        """So many times larger."""
        return voxel_size * factor

    def make(self, source: np.ndarray[Any, Any], factor: Coordinate) -> np.ndarray[Any, Any]:
        """Take them."""
        every: Any = tuple(slice(None, None, n) for n in factor)
        return source[(..., *every)].copy()
