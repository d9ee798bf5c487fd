"""Random maps, regions and grids for the tests of the spatial machine."""

import numpy as np
from hypothesis import strategies as st

from voxflow.ops.maps.affine import Affine, mirror_transpose, rotation
from voxflow.ops.maps.compose import Compose
from voxflow.ops.maps.displacement import ControlPointDisplacement
from voxflow.ops.maps.perspective import Perspective
from voxflow.ops.maps.sections import SectionShifts

SIZES = (1.0, 2.0, 4.0, 9.8, 40.0)
KINDS = ("affine", "rotation", "zoom", "elastic", "plane", "sections", "mirror", "shift", "tilt")


def make_map(kind, rng, offset, size, shape):
    """A random map of one kind that moves things by a few voxels."""
    ndim = len(shape)
    begin, extent = np.array(offset), np.array(size) * shape
    center = begin + extent / 2
    if kind == "affine":
        matrix = np.eye(ndim) + rng.uniform(-0.2, 0.2, (ndim, ndim))
        return Affine(matrix, center, rng.uniform(-2, 2, ndim) * size)
    if kind == "rotation" and ndim > 1:
        return rotation(rng.uniform(-np.pi, np.pi), center)
    if kind == "zoom":
        return Affine(np.eye(ndim) * rng.uniform(0.7, 1.4), center)
    if kind in ("elastic", "plane"):
        counts = rng.integers(1, 5, ndim)
        points = rng.normal(0, 1.0, (ndim, *counts)) * np.reshape(size, (-1,) + (1,) * ndim)
        if kind == "plane" and ndim > 1:
            points[0] = 0
        return ControlPointDisplacement(points, begin, begin + extent)
    if kind == "sections" and ndim > 1:
        offsets = rng.integers(-3, 4, (shape[0], ndim)) * np.array(size)
        offsets[:, 0] = 0
        return SectionShifts(offsets, begin[0], size[0])
    if kind == "tilt":  # composed, what is seen may be several times as large
        axes = np.flatnonzero(rng.random(ndim) < 0.7)
        return Perspective(center, rng.uniform(-0.1, 0.1, ndim) / extent, axes)
    if kind == "mirror":
        return mirror_transpose(center, rng.random(ndim) < 0.5)
    return Affine(np.eye(ndim), center, rng.integers(-3, 4, ndim) * np.array(size))


@st.composite
def cases(draw, shrink=1.0):
    """A map, and the offset, voxel size and shape of what is to be seen through it.

    The map makes things up to so many times smaller, along each axis by itself.
    """
    ndim = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 9)) for _ in range(ndim))
    size = tuple(draw(st.sampled_from(SIZES)) for _ in range(ndim))
    offset = tuple(draw(st.sampled_from((-3, 0, 1000))) * v for v in size)
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    maps = [make_map(kind, rng, offset, size, shape) for kind in kinds]
    if shrink > 1:
        factors = rng.uniform(1, shrink, ndim)
        maps.append(Affine(np.diag(factors), np.array(offset) + np.multiply(shape, size) / 2))
    return (maps[0] if len(maps) == 1 else Compose(maps)), offset, size, shape, rng


def voxels(box, size):
    """How many voxels a box has along each axis."""
    begin, end = box
    return tuple(round((e - b) / v) for b, e, v in zip(begin, end, size, strict=True))
