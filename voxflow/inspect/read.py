"""Arrays for pictures: read whole where they are small, else a coarser level or the middle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.inspect.arrays import names_in, open_array
from voxflow.inspect.pictures import Layer
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.stores import MissingChunk, StoreError, list_levels, open_dataset

if TYPE_CHECKING:
    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.find import Container

__all__ = ["read_layers"]

READ_VOXELS = 1 << 26
"""Of a file, for pictures."""

_CHANNELS = 12


def read_layers(
    container: Container, max_voxels: int = READ_VOXELS
) -> tuple[list[Layer], list[str]]:
    """Read the arrays of a file that lie in two or three dimensions of space.

    Parameters
    ----------
    container
        The file.
    max_voxels
        How many voxels are read of it. Of a pyramid, the finest level with few enough is read; of
        what is still too large, the middle.

    Returns
    -------
    layers, notes
        The arrays, images first, and what was left out.
    """
    notes: list[str] = []
    arrays = _open(container, max_voxels, notes)
    box = _box(arrays, max_voxels)
    if box is not None:
        notes.append(f"The arrays are large: only the middle of them was read, {box}.")
    layers = []
    for array in arrays:
        layer = _read(container, array, box, notes)
        layers += [] if layer is None else [layer]
    order = {"image": 0, "affinities": 1, "labels": 2}
    return sorted(layers, key=lambda layer: order[layer.guess]), notes


def _open(container: Container, max_voxels: int, notes: list[str]) -> list[StoredArray]:
    arrays = []
    names = names_in(container)
    for name in _one_level(container, names, max_voxels, notes):
        try:
            array = open_array(container, name)
        except Exception as error:  # each format has errors of its own
            notes.append(f"{name} cannot be read: {' '.join(str(error).split())}")
            continue
        if len(array.spatial) in (2, 3) and array.dataset.dtype.kind in "biufc":
            if math.prod(array.dataset.shape):
                arrays.append(array)
    return arrays


def _one_level(
    container: Container, names: list[str], max_voxels: int, notes: list[str]
) -> list[str]:
    """Of each pyramid only the finest level that is small enough."""
    kept = list(names)
    groups = {name.rpartition("/")[0] for name in names} | {name for name in names}
    for group in sorted(groups):
        try:
            levels = [level.path for level in list_levels(container.store, group)]
        except StoreError:
            continue
        if len(levels) < 2 or set(levels).isdisjoint(kept):
            continue
        sizes = {path: math.prod(open_dataset(container.store, path).shape) for path in levels}
        best = next((path for path in levels if sizes[path] <= max_voxels), levels[-1])
        kept = [name for name in kept if name not in levels or name == best]
        if best != levels[0]:
            notes.append(f"Of the pyramid {group or 'of the file'}, level {best} is shown.")
    return kept


def _box(arrays: list[StoredArray], max_voxels: int) -> Roi | None:
    """The part of the world that is read; None: all of it."""
    regions = [array.region for array in arrays if len(array.spatial) == _dims(arrays)]
    if not regions or sum(math.prod(array.dataset.shape) for array in arrays) <= max_voxels:
        return None
    box = regions[0]
    assert box is not None
    for region in regions[1:]:
        if region is not None and region.intersects(box):
            box = box.intersect(region)
    while sum(_voxels_in(array, box) for array in arrays) > max_voxels:
        axis = max(range(box.dims), key=lambda i: box.shape[i])
        shape = [n / 2 if i == axis else n for i, n in enumerate(map(_exact, box.shape))]
        middle = [_exact(b) + _exact(n) / 2 for b, n in zip(box.offset, box.shape, strict=True)]
        begin = [m - n / 2 for m, n in zip(middle, shape, strict=True)]
        box = Roi(Coordinate(begin), Coordinate(shape))
    return box


def _exact(value: Any) -> Any:
    from fractions import Fraction

    return Fraction(value)


def _dims(arrays: list[StoredArray]) -> int:
    return max((len(array.spatial) for array in arrays), default=0)


def _voxels_in(array: StoredArray, box: Roi) -> int:
    cut = _cut(array, box)
    return 0 if cut is None else math.prod(s.stop - s.start for s in cut)


def _cut(array: StoredArray, box: Roi | None) -> tuple[slice, ...] | None:
    """The voxels of an array that a part of the world touches; None if there are none."""
    shape = array.dataset.shape
    cut = [slice(0, n) for n in shape]
    for axis in set(range(len(shape))) - set(array.spatial):
        cut[axis] = slice(0, min(shape[axis], _CHANNELS))
    if box is not None and box.dims == len(array.spatial) and array.geometry is not None:
        geometry = array.geometry
        for place, axis in enumerate(array.spatial):
            size, begin = geometry.voxel_size[place], geometry.offset[place]
            first = math.floor((box.begin[place] - begin) / size)
            last = math.ceil((box.end[place] - begin) / size)
            cut[axis] = slice(max(0, first), min(shape[axis], last))
    return None if any(s.stop <= s.start for s in cut) else tuple(cut)


def _read(
    container: Container, array: StoredArray, box: Roi | None, notes: list[str]
) -> Layer | None:
    cut = _cut(array, box)
    geometry = array.geometry
    if cut is None or geometry is None or array.guess == "table":
        return None
    try:
        try:
            data = array.dataset.read(cut)
        except MissingChunk:
            filled = open_dataset(container.store, array.name, missing_chunks="fill")
            data = filled.read(cut)
            notes.append(f"{array.name}: chunks that are not stored are shown as the fill value.")
    except Exception as error:  # each codec has errors of its own
        notes.append(f"{array.name} cannot be read: {' '.join(str(error).split())}")
        return None
    lead = [axis for axis in range(data.ndim) if axis not in array.spatial]
    if any(array.dataset.shape[axis] > _CHANNELS for axis in lead):
        notes.append(f"{array.name}: of each leading axis, {_CHANNELS} entries are shown.")
    data = np.transpose(data, (*lead, *array.spatial))
    size = tuple(map(float, geometry.voxel_size))
    moved = [cut[axis].start for axis in array.spatial]
    offset = tuple(
        float(begin + n * each)
        for begin, n, each in zip(geometry.offset, moved, geometry.voxel_size, strict=True)
    )
    return Layer(array.name, data, size, offset, array.guess)
