"""What is there of each object of a label array: its size, and where it lies in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_fill_holes, find_objects

from voxflow.pipeline.compiled import kernel
from voxflow.pipeline.geometry import Coordinate
from voxflow.segmentation.hashing import number_ids
from voxflow.segmentation.lookup import as_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.data import Array

__all__ = ["ObjectTable", "fill_holes", "object_table"]


class ObjectTable(NamedTuple):
    """The objects of labels, in the order of their ids; where they lie is in world units.

    Examples
    --------
    >>> table = object_table(np.uint64([[7, 7], [0, 7]]), voxel_size=(40, 4), offset=(0, 8))
    >>> table.ids.tolist(), table.sizes.tolist(), table.volumes.tolist()
    ([7], [3], [480.0])
    >>> table.centres.tolist(), table.begins.tolist(), table.ends.tolist()
    ([[33.33333333333333, 12.666666666666666]], [[0.0, 8.0]], [[80.0, 16.0]])
    """

    ids: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.int64]
    """How many voxels each has."""
    volumes: npt.NDArray[np.float64]
    centres: npt.NDArray[np.float64]
    """The mean of the centres of its voxels, shape (objects, axes)."""
    begins: npt.NDArray[np.float64]
    """The lower corner of its bounding box, shape (objects, axes)."""
    ends: npt.NDArray[np.float64]
    """The upper corner."""


def object_table(
    labels: Array | npt.NDArray[Any],
    *,
    voxel_size: Sequence[Any] | None = None,
    offset: Sequence[Any] | None = None,
) -> ObjectTable:
    """Count and measure all objects, in one pass.

    Parameters
    ----------
    labels
        Integers, up to three axes; 0 is no object. An `Array` knows where it lies.
    voxel_size, offset
        World units. None: as the array says, or voxels.

    Raises
    ------
    ValueError
        If there are more than three axes, or ids below 0.
    """
    spec = getattr(labels, "spec", None)
    data: Any = labels if spec is None else getattr(labels, "view", None)
    ndim = data.ndim
    if ndim > 3:
        raise ValueError(f"objects are measured in up to 3 axes; the labels have {ndim}")
    if spec is not None:
        voxel_size = spec.voxel_size if voxel_size is None else voxel_size
        offset = spec.region.offset if offset is None and spec.roi is not None else offset
    size = _along(voxel_size, ndim, 1.0)
    start = _along(offset, ndim, 0.0)
    numbers, ids = number_ids(as_ids(data).reshape(-1))
    shape = (1,) * (3 - ndim) + data.shape
    sizes = np.zeros(len(ids), np.int64)
    sums, ends = np.zeros((len(ids), 3), np.int64), np.zeros((len(ids), 3), np.int64)
    begins = np.full((len(ids), 3), max((1, *shape)), np.int64)
    _measure(numbers.reshape(shape), sizes, sums, begins, ends)
    order, own = np.argsort(ids), slice(3 - ndim, 3)
    sizes = sizes[order]
    centres: npt.NDArray[Any] = sums[order, own] / sizes[:, None] + 0.5
    centres = centres * size + start
    corners = [corner[order, own] * size + start for corner in (begins, ends)]
    volumes = (sizes * float(np.prod(size))).astype(np.float64)
    return ObjectTable(ids[order], sizes, volumes, centres, *corners)


def _along(lengths: Sequence[Any] | None, ndim: int, default: float) -> npt.NDArray[np.float64]:
    if lengths is None:
        return np.full(ndim, default)
    return np.array([float(length) for length in Coordinate(lengths)])


@kernel
def _measure(numbers: Any, sizes: Any, sums: Any, low: Any, high: Any) -> None:
    n0, n1, n2 = numbers.shape
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                at = numbers[i, j, k] - 1
                if at >= 0:
                    sizes[at] += 1
                    place = (i, j, k)
                    for axis in range(3):
                        sums[at, axis] += place[axis]
                        low[at, axis] = min(low[at, axis], place[axis])
                        high[at, axis] = max(high[at, axis], place[axis] + 1)


def fill_holes(labels: npt.NDArray[Any], axes: Sequence[int] | None = None) -> npt.NDArray[Any]:
    """Give voxels of no object that one object encloses to that object.

    Voxels of other objects stay as they are. What reaches the border of the array is not enclosed.

    Parameters
    ----------
    labels
        Integers, 0 is no object.
    axes
        Fill in planes of these axes, such as (1, 2) for each section by itself; None: in all axes.

    Returns
    -------
    numpy.ndarray
        A new array of the same dtype.

    Examples
    --------
    >>> ring = np.array([[5, 5, 5], [5, 0, 5], [5, 5, 5]])
    >>> fill_holes(ring).tolist()
    [[5, 5, 5], [5, 5, 5], [5, 5, 5]]
    """
    out = labels.copy()
    numbers, ids = number_ids(as_ids(labels).reshape(-1))
    numbers = numbers.reshape(labels.shape)
    reach = np.ones((3,) * labels.ndim, bool) if axes is None else _planes(labels.ndim, axes)
    structure = _faces(labels.ndim) & reach
    for number, box in enumerate(find_objects(numbers), start=1):
        if box is not None:
            own = numbers[box] == number
            # Nothing but 0 can be a hole, and what is another object does not enclose.
            filled = binary_fill_holes(own, structure) & (numbers[box] == 0)
            out[box][filled] = ids[number - 1]
    return out


def _planes(ndim: int, axes: Sequence[int]) -> npt.NDArray[np.bool_]:
    planes = np.zeros((3,) * ndim, bool)
    planes[tuple(slice(None) if axis in axes else 1 for axis in range(ndim))] = True
    return planes


def _faces(ndim: int) -> npt.NDArray[np.bool_]:
    places = np.indices((3,) * ndim) - 1
    faces: npt.NDArray[np.bool_] = np.abs(places).sum(axis=0) <= 1
    return faces
