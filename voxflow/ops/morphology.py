"""Enlarge binary maps by balls, in world units."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .rasterize import ROUNDING, Ball

__all__ = ["create_ball_kernel", "enlarge_binary_map"]


def enlarge_binary_map(
    binary_map: npt.NDArray[Any],
    radius: npt.ArrayLike,
    voxel_size: npt.ArrayLike,
    ring_fraction: float | None = None,
    in_place: bool = False,
) -> npt.NDArray[Any] | None:
    """All voxels that are no further than a radius from those that are not 0.

    Parameters
    ----------
    binary_map
        Any number of axes. A map that is the same everywhere stays as it is.
    radius
        World units, one for all axes or one for each.
    voxel_size
        World units.
    ring_fraction
        What part of the radius, from outside, is kept: a ring. None: all of it.
    in_place
        Write the result into the map, and return nothing.

    Returns
    -------
    numpy.ndarray
        A new boolean map of the same shape; None if done in place.

    Raises
    ------
    ValueError
        If the radius or the voxel size is not above zero, or does not fit the axes.

    Examples
    --------
    >>> enlarge_binary_map(np.array([0, 0, 0, 1, 0, 0]), 4, 2).astype(int)
    array([0, 1, 1, 1, 1, 1])
    >>> enlarge_binary_map(np.array([0, 0, 0, 1, 0, 0]), 4, 2, ring_fraction=0.5).astype(int)
    array([0, 1, 0, 0, 0, 1])
    """
    from scipy.ndimage import distance_transform_edt

    step = 1 / _in_voxels(radius, voxel_size, binary_map.ndim)
    empty = binary_map == 0
    if empty.all() or not empty.any():
        return None if in_place else binary_map.copy()
    distances = np.asarray(distance_transform_edt(empty, sampling=step.tolist()))
    grown = distances <= 1 + ROUNDING
    if ring_fraction is not None:
        grown &= distances > 1 - ring_fraction + ROUNDING
    if not in_place:
        return grown
    binary_map[...] = grown
    return None


def create_ball_kernel(radius: npt.ArrayLike, voxel_size: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """A ball in the middle of an array that is as large as it needs.

    Parameters
    ----------
    radius
        World units, one for all axes or one for each.
    voxel_size
        World units, one for each axis.

    Returns
    -------
    numpy.ndarray
        uint8, of ``2 * ceil(radius / voxel_size) + 1`` voxels along each axis: 1 where the centre
        of a voxel is no further than the radius from that of the middle one.

    Raises
    ------
    ValueError
        If the radius or the voxel size is not above zero.

    Examples
    --------
    >>> create_ball_kernel(4, (4, 2))
    array([[0, 0, 1, 0, 0],
           [1, 1, 1, 1, 1],
           [0, 0, 1, 0, 0]], dtype=uint8)
    """
    radii = _in_voxels(radius, voxel_size, np.atleast_1d(np.asarray(voxel_size)).size)
    ball = Ball.of(radii)
    middle = np.ceil(radii * (1 - ROUNDING)).astype(np.int64)
    kernel = np.zeros(2 * middle + 1, np.uint8)
    along = np.abs(np.arange(kernel.shape[-1]) - middle[-1])
    kernel[tuple((ball.rows + middle[:-1]).T)] = along <= ball.halves[:, None]
    return kernel


def _in_voxels(
    radius: npt.ArrayLike, voxel_size: npt.ArrayLike, dims: int
) -> npt.NDArray[np.float64]:
    """A radius in voxels along each axis."""
    sizes = np.array([float(s) for s in np.atleast_1d(np.asarray(voxel_size))])
    radii = np.atleast_1d(np.asarray(radius, np.float64))
    if not ((radii > 0).all() and (sizes > 0).all() and np.isfinite(radii).all()):
        raise ValueError(
            f"radius and voxel size are above zero, got radius={radius!r}, "
            f"voxel_size={voxel_size!r}"
        )
    if any(len(given) not in (1, dims) for given in (radii, sizes)):
        raise ValueError(
            f"radius and voxel size have one entry, or one for each of {dims} axes, got "
            f"radius={radius!r}, voxel_size={voxel_size!r}"
        )
    return np.broadcast_to(radii / sizes, dims)
