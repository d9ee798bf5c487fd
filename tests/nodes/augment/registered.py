"""Do an image, labels and points still lie on one another after they were moved?"""

from functools import cache

import numpy as np

import voxflow as gp
from tests.helpers import GraphSource, ids, ramp, source

RAMP, IDS, POINTS = gp.ArrayKey("RAMP"), gp.ArrayKey("IDS"), gp.GraphKey("points")


@cache
def volume_parts(roi, size):
    numbers = ids(roi, size)
    centers = ramp(roi, size).reshape(roi.dims, -1).T
    return numbers, dict(zip(numbers.ravel().tolist(), centers, strict=True))


def volume(roi, ramp_size, ids_size):
    """A ramp (linear), ids of voxels (nearest), and a point in the centre of each of these."""
    numbers, points = volume_parts(roi, gp.Coordinate(ids_size))
    return (
        source(RAMP, ramp(roi, ramp_size), ramp_size, roi.offset, True),
        source(IDS, numbers, ids_size, roi.offset, False),
        GraphSource(POINTS, points, roi),
    ) + gp.MergeProvider()


def center_of(number, roi, size):
    """Where the voxel with a number came from (world)."""
    size = gp.Coordinate(size)
    shape = tuple(int(n) for n in roi.shape / size)
    index = np.unravel_index(np.asarray(number, np.int64) - 1, shape)
    return np.stack(
        [(i + 0.5) * float(v) + float(b) for i, v, b in zip(index, size, roi.begin, strict=True)]
    )


def voxel_of(place, array):
    """The index of the voxel that a point lies in."""
    begin = np.array([float(v) for v in array.spec.roi.begin])
    return tuple(
        np.floor((place - begin) / np.array([float(v) for v in array.spec.voxel_size]) + 1e-9)
        .astype(int)
        .tolist()
    )
