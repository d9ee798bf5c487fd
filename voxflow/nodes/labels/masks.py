"""Labels that say where something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from voxflow.pipeline.data import ArrayKey, Batch
    from voxflow.pipeline.geometry import Roi


def labels_in(
    batch: Batch, mask: ArrayKey, region: Roi, shape: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    """The labels of a mask in a region; 0 where there are none.

    Parameters
    ----------
    batch
        What holds the mask, in a part of the region; or does not hold it.
    mask
        The array of labels.
    region
        World units.
    shape
        The voxels of the region along each axis.

    Raises
    ------
    ValueError
        If the mask has channel axes.
    """
    if mask not in batch:
        return np.zeros(shape, np.uint8)
    array = batch[mask]
    known = array.spec.region
    if array.view.ndim != len(shape):
        raise ValueError(
            f"{mask} has the shape {array.view.shape}, it needs one axis for each dimension of "
            f"{known}; a channel axis of one entry can be taken away with Squeeze"
        )
    if known == region:
        return array.view
    labels = np.zeros(shape, array.view.dtype)
    where: Any = (known - region.offset) / array.spec.grid
    labels[where.to_slices()] = array.view
    return labels
