"""What the spatial machine must agree with: numpy and scipy, float64, the whole field at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from voxflow.ops.maps.affine import Affine
from voxflow.ops.maps.compose import Compose
from voxflow.ops.maps.displacement import ControlPointDisplacement
from voxflow.ops.maps.perspective import Perspective
from voxflow.ops.maps.sections import SectionShifts


@dataclass(frozen=True)
class Region:
    offset: tuple
    shape: tuple


def pull(spatial_map, positions):
    """Send output positions (axes, ...) to input positions, from the maps' definitions alone."""
    positions = np.asarray(positions, np.float64)
    if isinstance(spatial_map, Compose):
        for part in spatial_map.maps:
            positions = pull(part, positions)
        return positions
    column = (-1,) + (1,) * (positions.ndim - 1)
    if isinstance(spatial_map, Affine):
        center = spatial_map.center.reshape(column)
        turned = np.tensordot(spatial_map.matrix, positions - center, axes=1)
        return turned + center + spatial_map.translation.reshape(column)
    if isinstance(spatial_map, SectionShifts):
        z = positions[spatial_map.axis]
        number = np.floor((z - spatial_map.begin) / spatial_map.thickness + 1e-6).astype(int)
        number = np.clip(number, 0, len(spatial_map.offsets) - 1)
        return positions + np.moveaxis(spatial_map.offsets[number], -1, 0)
    if isinstance(spatial_map, ControlPointDisplacement):
        values = np.asarray(spatial_map.displacements)
        counts = np.array(values.shape[1:])
        begin, end = np.array(spatial_map.begin, float), np.array(spatial_map.end, float)
        unit = (positions - begin.reshape(column)) / (end - begin).reshape(column)
        where = np.clip(unit, 0, 1) * (counts - 1).reshape(column)
        moved = [ndimage.map_coordinates(v, where, order=3, mode="mirror") for v in values]
        return positions + np.stack(moved)
    if isinstance(spatial_map, Perspective):
        ndim = len(spatial_map.center)
        homography = np.eye(ndim + 1)
        homography[ndim, :ndim] = spatial_map.slope
        there, back = np.eye(ndim + 1), np.eye(ndim + 1)
        there[:ndim, ndim], back[:ndim, ndim] = -spatial_map.center, spatial_map.center
        seen = np.concatenate([positions, np.ones((1, *positions.shape[1:]))])
        seen = np.tensordot(back @ homography @ there, seen, axes=1)
        short = np.isin(np.arange(ndim), spatial_map.axes).reshape(column)
        return np.where(short, seen[:ndim] / seen[ndim], positions)
    raise TypeError(spatial_map)


def centers(offset, voxel_size, shape):
    """World positions of voxel centres, (axes, *shape)."""
    index = np.indices(shape, dtype=np.float64)
    column = (-1,) + (1,) * len(shape)
    offset, voxel_size = (np.array([float(x) for x in v]) for v in (offset, voxel_size))
    return offset.reshape(column) + (index + 0.5) * voxel_size.reshape(column)


def to_voxels(positions, offset, voxel_size):
    """World positions (axes, ...) in voxels: the centre of voxel k is k."""
    column = (-1,) + (1,) * (positions.ndim - 1)
    offset, size = (np.array([float(x) for x in v]) for v in (offset, voxel_size))
    return (positions - offset.reshape(column)) / size.reshape(column) - 0.5


def source_index(spatial_map, in_offset, voxel_size, out_offset, out_shape):
    """Where each output voxel's centre lies in the input, in voxels (axes, *out_shape)."""
    source = pull(spatial_map, centers(out_offset, voxel_size, out_shape))
    return to_voxels(source, in_offset, voxel_size)


def resample(spatial_map, data, in_offset, voxel_size, out_offset, out_shape, order, fill=0):
    """The result as float64 (linear) or in the data's own type (nearest)."""
    index = source_index(spatial_map, in_offset, voxel_size, out_offset, out_shape)
    return looked_up(data, index, order, fill)


def looked_up(data, index, order, fill=0):
    """What the data are at positions in voxels (axes, *shape), of any leading axes."""
    ndim, shape = len(index), index.shape[1:]
    spatial = data.shape[-ndim:]
    size = np.array(spatial).reshape((-1,) + (1,) * len(shape))
    inside = ((index >= -0.5 - 1e-6) & (index <= size - 0.5 + 1e-6)).all(0)
    index = np.clip(index, 0, size - 1)
    out = []
    for channel in data.reshape(-1, *spatial):
        if order == "linear":
            value = ndimage.map_coordinates(channel.astype(np.float64), index, order=1)
        else:
            value = channel[tuple(np.floor(index + 0.5).astype(int))]
        out.append(np.where(inside, value, np.asarray(fill, value.dtype)))
    return np.stack(out).reshape(*data.shape[: data.ndim - ndim], *shape)


def cells(spatial_map, in_offset, voxel_size, out_offset, out_shape):
    """Where the sub-points of each output voxel lie in the input, in voxels.

    Shape (axes, *out_shape, sub-points).
    """
    ndim = len(out_shape)
    size = np.array([float(v) for v in voxel_size])
    matrix = _linear_part(spatial_map, ndim) * size / size[:, None]
    spans = np.linalg.norm(matrix, axis=0)
    counts = np.clip(np.ceil(spans - 1e-6), 2, 8).astype(int)
    places = _sub_points(counts, voxel_size, out_offset, out_shape)
    index = to_voxels(pull(spatial_map, places), in_offset, voxel_size)
    own = to_voxels(places, out_offset, voxel_size)
    for axis in range(ndim):
        if abs(spans[axis] - 1) < 1e-6 and _is_taken_over(index, own[axis]):
            counts[axis] = 1
    places = _sub_points(counts, voxel_size, out_offset, out_shape)
    return to_voxels(pull(spatial_map, places), in_offset, voxel_size)


def _sub_points(counts, voxel_size, out_offset, out_shape):
    """World positions in each voxel, a regular grid of so many (axes, *out_shape, sub-points)."""
    ndim = len(counts)
    steps = [
        ((np.arange(n) + 0.5) / n - 0.5) * float(v) for n, v in zip(counts, voxel_size, strict=True)
    ]
    grid = np.stack(np.meshgrid(*steps, indexing="ij")).reshape(ndim, *(1,) * ndim, -1)
    return centers(out_offset, voxel_size, out_shape)[..., None] + grid


def _linear_part(spatial_map, ndim):
    if isinstance(spatial_map, Compose):
        matrix = np.eye(ndim)
        for part in spatial_map.maps:
            matrix = _linear_part(part, ndim) @ matrix
        return matrix
    return spatial_map.matrix if isinstance(spatial_map, Affine) else np.eye(ndim)


def _is_taken_over(index, own):
    """Whether an input axis follows an output axis, both ways, by whole voxels."""
    for axis in index:
        for sign in (1, -1):
            step = axis - sign * own
            if np.ptp(step) < 1e-6 and abs(step.flat[0] - np.rint(step.flat[0])) < 1e-5:
                return True
    return False


def majority(spatial_map, data, in_offset, voxel_size, out_offset, out_shape, fill=0):
    """The most frequent value in each cell, in the data's own type."""
    where = in_offset, voxel_size, out_offset, out_shape
    index = cells(spatial_map, *where)
    parts = looked_up(data, index, "nearest", fill)
    center = resample(spatial_map, data, *where, "nearest", fill)
    out = [
        most_frequent(cell, at)
        for cell, at in zip(parts.reshape(-1, parts.shape[-1]), center.ravel(), strict=True)
    ]
    return np.array(out, data.dtype).reshape(center.shape)


def most_frequent(cell, center):
    """Of several that are equally frequent `center`, else the smallest."""
    values, counts = np.unique(cell, return_counts=True)
    tied = values[counts == counts.max()]
    return center if center in tied else tied[0]
