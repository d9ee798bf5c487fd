"""Images whose values say where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.geometry import Coordinate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

    from voxflow.pipeline.geometry import Roi

__all__ = ["ramp"]


def ramp(roi: Roi, voxel_size: Iterable[Any], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Make an image in which each voxel's value is its own place.

    A node that moves voxels is checked by it: what arrives says where it comes from.

    Parameters
    ----------
    roi
        The region, in world units.
    voxel_size
        The size of a voxel, in world units.
    dtype
        The type of the values. Whole numbers cut off the halves that centres may have.

    Returns
    -------
    NDArray
        Shape (dims, ...): channel d holds the centre of each voxel along axis d, in world units.

    Examples
    --------
    >>> from voxflow import Roi
    >>> ramp(Roi((4, 0), (4, 6)), (2, 2)).tolist()
    [[[5.0, 5.0, 5.0], [7.0, 7.0, 7.0]], [[1.0, 3.0, 5.0], [1.0, 3.0, 5.0]]]
    """
    size = Coordinate(voxel_size)
    axes = [
        float(begin) + (np.arange(int(count)) + 0.5) * float(step)
        for begin, count, step in zip(roi.begin, roi.shape / size, size, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(dtype)
