"""Kernels are compiled for each type of values once, however arrays lie in memory."""

import numpy as np

from voxflow.ops import blending, distances, health
from voxflow.ops.maps import ControlPointDisplacement, positions


def kinds(kernel, argument):
    """Of the arrays that a kernel was compiled for: axes, layout, whether they may be written."""
    arrays = [signature[argument] for signature in kernel.signatures]
    return {(array.ndim, array.layout, array.mutable) for array in arrays}


def locked(array):
    array.flags.writeable = False
    return array


def test_distances_along_any_number_of_axes():
    for ndim in (1, 2, 3):
        distances.distances(np.ones((3,) * ndim, np.uint8))
    assert kinds(distances._along_rows, 1) == {(2, "C", True)}


def test_counts_of_what_may_not_be_written():
    for dtype in ("uint8", "float32"):
        for image in (np.ones((3, 4), dtype), locked(np.ones((3, 4), dtype))):
            health.health(image)
            health.repeated_sections(image, 0)
    assert kinds(health._of_integers, 0) == {(1, "C", True)}
    assert kinds(health._of_floats, 0) == {(1, "C", True)}
    assert kinds(health._is_repeated, 0) == {(3, "C", True)}


def test_tiles_that_may_not_be_written():
    total = np.zeros((1, 2, 3))
    blending.add_weighted(total, locked(np.ones((1, 2, 3), np.float32)), [np.ones(2), np.ones(3)])
    assert all(mutable for *_, mutable in kinds(blending._add, 1))


def test_points_by_columns():
    field = ControlPointDisplacement(np.ones((3, 2, 2, 2)), (0, 0, 0), (9, 9, 9))
    field.pull(np.asfortranarray(np.ones((4, 3))))
    assert kinds(positions._values, 2) == {(2, "C", True)}
