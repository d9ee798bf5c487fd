"""More voxels."""

from __future__ import annotations

from typing import Any

import numpy as np

from voxflow.nodes.values.factors import ByFactor
from voxflow.pipeline.geometry import Coordinate


class UpSample(ByFactor):
    """Adds an array with each voxel of another one repeated.

    Parameters
    ----------
    source
        The array that there is.
    factor
        How many voxels one becomes: one number, or one for each spatial axis.
    target
        The array to make.

    Raises
    ------
    TypeError
        If `source` or `target` is no `ArrayKey`, or a factor is not whole.
    ValueError
        If a factor is below 1. At setup: if there is not one for each axis.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw, fine = gp.ArrayKey("RAW"), gp.ArrayKey("FINE")
    >>> line = gp.ArraySource(raw, np.arange(8), spec=gp.ArraySpec(voxel_size=(4,)))
    >>> with gp.build(line + gp.UpSample(raw, 2, fine)) as pipeline:
    ...     pipeline.request_batch(gp.BatchRequest({fine: gp.Roi((6,), (8,))}))[fine].data
    array([1, 2, 2, 3])
    """

    def resized(self, voxel_size: Coordinate, factor: Coordinate) -> Coordinate:
        """So many times smaller."""
        return voxel_size / factor

    def make(self, source: np.ndarray[Any, Any], factor: Coordinate) -> np.ndarray[Any, Any]:
        """Repeat along the last axis, which is short still; then whole rows, in one copy."""
        *outer, last = (int(n or 1) for n in factor)
        rows = np.repeat(source, last, axis=-1)
        lead = rows.ndim - len(factor)
        shape = list(rows.shape[:lead])
        for n, times in zip(rows.shape[lead:-1], outer, strict=True):
            shape += [n, times]
        thin = rows[(slice(None),) * lead + (slice(None), None) * len(outer)]
        whole = np.empty((*shape, rows.shape[-1]), rows.dtype)
        whole[...] = thin
        sizes = (n * times for n, times in zip(rows.shape[lead:-1], outer, strict=True))
        return whole.reshape(*rows.shape[:lead], *sizes, rows.shape[-1])
