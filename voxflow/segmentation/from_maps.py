"""From probabilities of objects and their boundaries to instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.ndimage import distance_transform_edt

from voxflow.ops.components import connected_components
from voxflow.segmentation.watershed import seeded_watershed

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["segment_maps"]

Method = Literal["components", "watershed"]


def segment_maps(
    objects: npt.NDArray[Any],
    boundaries: npt.NDArray[Any],
    *,
    method: Method = "components",
    threshold: float = 0.5,
    grow: float = 1.0,
    min_size: int = 0,
    seed_distance: float = 0.0,
) -> npt.NDArray[np.int64]:
    """Number the objects that maps show, each grown back over its boundary.

    A voxel is inside of an object where ``objects * (1 - boundaries)`` is above the threshold
    (Chen et al. 2016 take a high value of one and a low one of the other).

    Parameters
    ----------
    objects, boundaries
        Probabilities, 0 to 1, of the same shape; up to three axes.
    method
        "components": what is connected through faces is an object. "watershed": an object is
        flooded from each place that is furthest from what is not inside, so that objects that touch
        come apart where they are thin; needs scikit-image.
    threshold
        Between 0 and 1. A higher one gives more and smaller objects.
    grow
        By how many voxels objects grow at most: as much as boundaries were cut off from them.
    min_size
        Objects of fewer voxels, before they grow, are left out.
    seed_distance
        For "watershed": how far apart places have to be from which objects are flooded.

    Returns
    -------
    numpy.ndarray
        The number of an object at each voxel, counted from 1; 0: none.

    Raises
    ------
    ValueError
        If shapes differ, or an option is out of range.
    ImportError
        If "watershed" lacks scikit-image.

    Examples
    --------
    >>> objects = np.array([[0.9, 0.9, 0.1, 0.1, 0.8, 0.0, 0.0]])
    >>> boundaries = np.array([[0.0, 0.1, 0.9, 0.9, 0.0, 0.9, 0.1]])
    >>> segment_maps(objects, boundaries).tolist()
    [[1, 1, 1, 2, 2, 2, 0]]
    """
    if objects.shape != boundaries.shape or not 0 < threshold < 1 or grow < 0:
        raise ValueError(
            f"two maps of one shape, a threshold between 0 and 1, and growth of 0 or more: got "
            f"{objects.shape}, {boundaries.shape}, {threshold}, {grow}"
        )
    if method not in get_args(Method):
        raise ValueError(f"method is one of {', '.join(get_args(Method))}, got {method!r}")
    score = objects * (1 - boundaries)
    inside = score > threshold
    if method == "watershed":
        found = seeded_watershed(
            1 - score, threshold=1 - threshold, distance=seed_distance, mask=inside
        )
    else:
        found = connected_components(inside.astype(np.int64))[0]
    sizes = np.bincount(found.ravel())
    keep = sizes >= min_size
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0)
    return _grown(numbers[found], grow)


def _grown(labels: npt.NDArray[Any], distance: float) -> npt.NDArray[np.int64]:
    """Give what is near an object to the nearest one."""
    if not distance or not labels.any():
        return labels.astype(np.int64)
    far, nearest = distance_transform_edt(labels == 0, return_indices=True)
    grown = labels[tuple(nearest)]
    return np.where(far <= distance, grown, 0).astype(np.int64)
