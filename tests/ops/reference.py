"""What the spatial machine must agree with: numpy and scipy, float64, the whole field at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from voxflow.ops.maps.affine import Affine
from voxflow.ops.maps.compose import Compose
from voxflow.ops.maps.displacement import ControlPointDisplacement
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
    raise TypeError(spatial_map)


def centers(offset, voxel_size, shape):
    """World positions of voxel centres, (axes, *shape)."""
    index = np.indices(shape, dtype=np.float64)
    column = (-1,) + (1,) * len(shape)
    offset, voxel_size = (np.array([float(x) for x in v]) for v in (offset, voxel_size))
    return offset.reshape(column) + (index + 0.5) * voxel_size.reshape(column)


def source_index(spatial_map, in_offset, voxel_size, out_offset, out_shape):
    """Where each output voxel's centre lies in the input, in voxels (axes, *out_shape)."""
    source = pull(spatial_map, centers(out_offset, voxel_size, out_shape))
    column = (-1,) + (1,) * len(out_shape)
    offset, size = (np.array([float(x) for x in v]) for v in (in_offset, voxel_size))
    return (source - offset.reshape(column)) / size.reshape(column) - 0.5


def resample(spatial_map, data, in_offset, voxel_size, out_offset, out_shape, order, fill=0):
    """The result as float64 (linear) or in the data's own type (nearest)."""
    index = source_index(spatial_map, in_offset, voxel_size, out_offset, out_shape)
    spatial = data.shape[-len(out_shape) :]
    size = np.array(spatial).reshape((-1,) + (1,) * len(out_shape))
    inside = ((index >= -0.5 - 1e-6) & (index <= size - 0.5 + 1e-6)).all(0)
    index = np.clip(index, 0, size - 1)
    out = []
    for channel in data.reshape(-1, *spatial):
        if order == "linear":
            value = ndimage.map_coordinates(channel.astype(np.float64), index, order=1)
        else:
            value = channel[tuple(np.floor(index + 0.5).astype(int))]
        out.append(np.where(inside, value, np.asarray(fill, value.dtype)))
    return np.stack(out).reshape(*data.shape[: data.ndim - len(out_shape)], *out_shape)
