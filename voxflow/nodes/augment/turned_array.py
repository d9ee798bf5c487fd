"""Arrays whose values speak of directions or neighbours, seen through a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.ops.actions import context, obstacle, turn, turn_vectors
from voxflow.ops.recipe import Recipe
from voxflow.ops.symmetries import symmetry_of
from voxflow.pipeline.data import Array
from voxflow.pipeline.data.kinds import Kind, Vectors
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxflow.ops.maps import Map
    from voxflow.ops.resampling.resample import Order
    from voxflow.ops.symmetries import Symmetry

_TOGETHER = 2**16  # voxels whose vectors are turned at a time: their matrices fit into the cache


def grown_for(
    kind: Kind,
    warp: Map,
    roi: Roi,
    voxel_size: Coordinate,
    dtype: np.dtype[Any] | None,
    possible: Iterable[Symmetry | None] = (),
) -> Roi:
    """What has to be moved so that all values of a region can be turned.

    Parameters
    ----------
    kind
        What the values mean.
    warp
        The map.
    roi
        The region of the result.
    voxel_size
        World units.
    dtype
        Of the values; None: not known.
    possible
        Symmetries that might have been drawn instead, which have to do as well; None: any map.

    Raises
    ------
    ValueError
        If they cannot be turned so.
    """
    below = above = np.zeros(roi.dims, int)
    drawn = symmetry_of(warp, voxel_size)
    for symmetry in (drawn, *(s and s.lifted(roi.dims) for s in possible)):
        problem = obstacle(kind, symmetry, dtype)
        if problem is not None:
            raise ValueError(problem)
        if symmetry is None:  # vectors, each of which is turned where it is
            return roi
        steps = context(kind, symmetry)
        below, above = np.maximum(below, steps[0]), np.maximum(above, steps[1])
    if not below.any() and not above.any():
        return roi
    return roi.grow(Coordinate(below) * voxel_size, Coordinate(above) * voxel_size)


def turned(
    kind: Any, warp: Map, array: Array, roi: Roi, voxel_size: Coordinate, order: Order
) -> Array:
    """An array seen through a map, in a region: voxels are moved, and their values turned.

    Raises
    ------
    ValueError
        If values are none that can be turned; see `voxflow.ops.actions`.
    """
    region = grown_for(kind, warp, roi, voxel_size, array.dtype)
    extent = tuple(region.shape / voxel_size)
    here = array.spec.region.offset
    moved = Recipe.of(array).seen_through(warp, here, region.offset, extent, order).make()
    symmetry = symmetry_of(warp, voxel_size)
    if symmetry is None:
        data = _by_derivatives(moved, kind, warp, region, voxel_size)
    else:
        data = turn(moved, kind, symmetry)
    spec = array.spec.copy()
    spec.roi = roi
    return Array(data, spec, dict(array.attrs))


def _by_derivatives(
    moved: np.ndarray[Any, Any], kind: Vectors, warp: Map, roi: Roi, voxel_size: Coordinate
) -> np.ndarray[Any, Any]:
    dims = roi.dims
    if moved.ndim <= dims or moved.shape[-dims - 1] != dims:
        raise ValueError(
            f"vectors of {dims} axes have as many channels, in the axis before the spatial ones; "
            f"the array has the shape {moved.shape}"
        )
    extent, voxels = moved.shape[-dims:], moved.reshape(*moved.shape[:-dims], -1)
    made = np.empty_like(voxels)
    begin, size = (np.array([float(v) for v in c]) for c in (roi.begin, voxel_size))
    one = all(stage.is_linear for stage in warp.stages())
    step = voxels.shape[-1] if one else _TOGETHER
    for first in range(0, voxels.shape[-1], step):
        some = slice(first, first + step)
        numbers = np.arange(first, min(first + step, voxels.shape[-1]) if not one else first + 1)
        places = begin + (np.stack(np.unravel_index(numbers, extent), axis=1) + 0.5) * size
        slopes = warp.derivatives(places)
        made[..., some] = turn_vectors(
            voxels[..., some], kind, slopes[0] if one else slopes, voxel_size
        )
    return made.reshape(moved.shape)
