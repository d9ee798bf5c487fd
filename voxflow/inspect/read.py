"""Arrays for pictures: read whole where they are small, else a coarser level or the middle."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.inspect.arrays import names_in, open_array
from voxflow.inspect.table import unit_text
from voxflow.pictures import Layer
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.stores import MissingChunk, StoreError, list_levels, open_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.find import Container
    from voxflow.stores import StoredDataset

__all__ = ["open_pictures", "pyramids", "read_layers"]

READ_VOXELS = 1 << 29
"""Of a file, for pictures."""

_REMOTE_VOXELS = 1 << 25
_HELD_VOXELS = 1 << 23  # of an array; a larger one is made coarser while it is read
_SLAB_BYTES = 1 << 26
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
        what is still too large, the middle. Arrays of more than 8 million voxels are made coarser.

    Returns
    -------
    layers, notes
        The arrays, images first, and what was left out.
    """
    notes: list[str] = []
    if "://" in container.store:
        max_voxels = min(max_voxels, _REMOTE_VOXELS)
    arrays = open_pictures(container, max_voxels, notes)
    box = _box(arrays, max_voxels)
    if box is not None:
        notes.append(f"The arrays are large: only the middle of them was read, {box}.")
    layers = []
    for array in arrays:
        layer = _read(container, array, box, notes)
        layers += [] if layer is None else [layer]
    return layers, notes


def open_pictures(container: Container, max_voxels: float, notes: list[str]) -> list[StoredArray]:
    """Open the arrays of a file that lie in two or three dimensions of space.

    Parameters
    ----------
    container
        The file.
    max_voxels
        Of a pyramid, only the finest level with so many voxels or fewer is opened.
    notes
        What was left out is added to them.

    Returns
    -------
    list
        Images first.
    """
    arrays = []
    names = names_in(container)
    for name in _one_level(container, names, max_voxels, notes):
        try:
            array = open_array(container, name)
        except Exception as error:  # each format has errors of its own
            notes.append(f"{name} cannot be read: {' '.join(str(error).split())}")
            continue
        is_picture = len(array.spatial) in (2, 3) and array.dataset.dtype.kind in "biufc"
        if is_picture and array.guess != "table" and 0 not in array.dataset.shape:
            arrays.append(array)
    return sorted(arrays, key=_rank)


def _rank(array: StoredArray) -> tuple[Any, ...]:
    """Images first, of these the one called raw, or that covers most; of labels, instances."""
    covered = Fraction(0) if array.region is None else Fraction(array.region.size or 0)
    order = {"image": 0, "labels": 1, "affinities": 2, "table": 3}
    name = array.name.lower()
    first = name.endswith("ids") if array.guess == "labels" else "raw" in name
    return order[array.guess], not first, -covered


def _one_level(
    container: Container, names: list[str], max_voxels: float, notes: list[str]
) -> list[str]:
    """Of each pyramid only the finest level that is small enough."""
    kept = list(names)
    for group, levels in pyramids(container, names).items():
        if set(levels).isdisjoint(kept):
            continue
        sizes = {path: _size(container, path) for path in levels}
        best = next((path for path in levels if sizes[path] <= max_voxels), levels[-1])
        kept = [name for name in kept if name not in levels or name == best]
        if best != levels[0]:
            notes.append(f"Of the pyramid {group or 'of the file'}, level {best} is shown.")
    return kept


def pyramids(container: Container, names: Sequence[str]) -> dict[str, list[str]]:
    """The pyramids that datasets belong to: the path of each, and its levels, finest first."""
    groups = {name.rpartition("/")[0] for name in names} | set(names)
    found = {}
    for group in sorted(groups):
        try:
            levels = [level.path for level in list_levels(container.store, group)]
        except StoreError:
            continue
        if len(levels) > 1:
            found[group] = levels
    return found


def _size(container: Container, path: str) -> int:
    voxels: int = math.prod(open_dataset(container.store, path).shape)
    return voxels


def _box(arrays: list[StoredArray], max_voxels: int) -> Roi | None:
    """The part of the world that is read; None: all of it."""
    dims = max((len(array.spatial) for array in arrays), default=0)
    regions = [a.region for a in arrays if len(a.spatial) == dims and a.region is not None]
    if not regions or sum(math.prod(array.dataset.shape) for array in arrays) <= max_voxels:
        return None
    box = regions[0]
    for region in regions[1:]:
        if region.intersects(box):
            box = box.intersect(region)
    while sum(_voxels_in(array, box) for array in arrays) > max_voxels:
        begin, shape = ([Fraction(value or 0) for value in part] for part in (box.begin, box.shape))
        axis = shape.index(max(shape))
        begin[axis] += shape[axis] / 4
        shape[axis] /= 2
        box = Roi(Coordinate(begin), Coordinate(shape))
    return box


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
    factors = _factors(array, cut)
    try:
        try:
            data = _coarse(array.dataset, cut, factors, array.guess != "labels")
        except MissingChunk:
            filled = open_dataset(container.store, array.name, missing_chunks="fill")
            data = _coarse(filled, cut, factors, array.guess != "labels")
            notes.append(f"{array.name}: chunks that are not stored are shown as the fill value.")
    except Exception as error:  # each codec has errors of its own
        notes.append(f"{array.name} cannot be read: {' '.join(str(error).split())}")
        return None
    lead = [axis for axis in range(data.ndim) if axis not in array.spatial]
    if any(array.dataset.shape[axis] > _CHANNELS for axis in lead):
        notes.append(f"{array.name}: of each leading axis, {_CHANNELS} entries are shown.")
    data = np.transpose(data, (*lead, *array.spatial))
    times = [factors[axis] for axis in array.spatial]
    size = tuple(float(n * each) for n, each in zip(geometry.voxel_size, times, strict=True))
    moved = [cut[axis].start for axis in array.spatial]
    offset = tuple(
        float(begin + n * each)
        for begin, n, each in zip(geometry.offset, moved, geometry.voxel_size, strict=True)
    )
    unit = unit_text(geometry.units)
    return Layer(array.name, data, size, offset, array.guess, unit, tuple(times))


def _factors(array: StoredArray, cut: tuple[slice, ...]) -> list[int]:
    """By how much each axis has to be coarser, so that few enough voxels are held."""
    shape = [s.stop - s.start for s in cut]
    factors = [1] * len(shape)
    assert array.geometry is not None
    sizes = dict(zip(array.spatial, array.geometry.voxel_size, strict=True))
    while math.prod(-(-n // f) for n, f in zip(shape, factors, strict=True)) > _HELD_VOXELS:
        able = [axis for axis in array.spatial if factors[axis] < shape[axis]]
        if not able:
            break
        axis = min(able, key=lambda i: (sizes[i] * factors[i], -shape[i]))
        factors[axis] *= 2
    return factors


def _coarse(
    dataset: StoredDataset, cut: tuple[slice, ...], factors: list[int], average: bool
) -> NDArray[Any]:
    """Read a region in slabs along its longest axis, and make each coarser at once."""
    if max(factors) == 1:
        return dataset.read(cut)
    shape = [s.stop - s.start for s in cut]
    axis = max(range(len(shape)), key=lambda i: -(-shape[i] // factors[i]))
    row = math.prod(shape) // shape[axis] * dataset.dtype.itemsize
    thick = max(1, _SLAB_BYTES // max(1, row * factors[axis])) * factors[axis]
    slabs = []
    for begin in range(cut[axis].start, cut[axis].stop, thick):
        part = list(cut)
        part[axis] = slice(begin, min(begin + thick, cut[axis].stop))
        slabs.append(coarser(dataset.read(part), factors, average))
    return np.concatenate(slabs, axis=axis)


def coarser(data: NDArray[Any], factors: Sequence[int], average: bool) -> NDArray[Any]:
    """Make an array coarser, by means or by taking the voxels in the middle.

    >>> coarser(np.array([[1, 3, 9]]), (1, 2), True), coarser(np.array([[1, 3, 9]]), (1, 2), False)
    (array([[2, 9]]), array([[3, 9]]))
    """
    for axis, factor in enumerate(factors):
        count = data.shape[axis]
        if factor == 1:
            continue
        if average:
            starts = np.arange(0, count, factor)
            widths = np.diff(starts, append=count)
            total = np.add.reduceat(data, starts, axis=axis, dtype=np.float64)
            mean = np.moveaxis(np.moveaxis(total, axis, -1) / widths, -1, axis)
            data = (mean if data.dtype.kind in "fc" else np.rint(mean)).astype(data.dtype)
        else:
            middle = np.minimum(np.arange(0, count, factor) + factor // 2, count - 1)
            data = data.take(middle, axis=axis)
    return data
