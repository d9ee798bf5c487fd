"""What does not fit together in the metadata of arrays."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores.metadata import NANOMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.values import Values
    from voxflow.stores.storage import Storage

__all__ = ["between", "of_one"]

_EXACT_FLOAT = {2: 2**11, 4: 2**24, 8: 2**53}
"""Up to where floats of so many bytes hold every whole number."""


def of_one(array: StoredArray, values: Values | None, storage: Storage) -> Iterator[str]:
    """Say what is odd about one array.

    Parameters
    ----------
    array
        Open.
    values
        What was found in it.
    storage
        How it is stored.
    """
    yield from array.notes
    if array.geometry is not None and array.stated:
        size, offset = array.geometry.voxel_size, array.geometry.offset
        if set(size) == {1} and array.geometry.units is None:
            yield "its voxel size is 1 along each axis: was it never set?"
        if offset % size != Coordinate((0,) * len(size)):
            yield (
                f"its offset {offset} is no multiple of its voxel size {size}: requests have to "
                "lie on its own grid, which begins at the offset"
            )
    if storage.missing:
        yield f"{storage.missing} of its {storage.total} chunks are not stored"
    if values is not None:
        yield from _of_values(array, values)


def _of_values(array: StoredArray, values: Values) -> Iterator[str]:
    dtype = array.dataset.dtype
    if values.labels is not None and dtype.kind == "f":
        exact = _EXACT_FLOAT.get(dtype.itemsize, 0)
        beyond = values.high is not None and values.high >= exact
        loss = f"; ids above {exact} are no longer exact" if beyond else ""
        yield f"it seems to hold labels, but as {dtype}{loss}: cast them to an integer"
    if values.labels is not None and values.low is not None and values.low < 0:
        yield f"it seems to hold labels, but some are negative: {values.low}"
    if values.not_finite:
        yield f"{values.not_finite} of its values are NaN or infinite"
    alone = array.geometry is None or math.prod(array.dataset.shape) == 1
    if values.low is not None and values.low == values.high and values.share == 1 and not alone:
        yield f"all of its values are {values.low}"


def between(arrays: Sequence[StoredArray]) -> Iterator[str]:
    """Say what does not fit together among the arrays of one container.

    Parameters
    ----------
    arrays
        All of them.
    """
    placed = [array for array in arrays if array.geometry is not None and 0 not in array.extent]
    yield from _units(placed)
    yield from _apart(placed)
    yield from _grids([array for array in placed if array.stated])


def _units(arrays: Sequence[StoredArray]) -> Iterator[str]:
    """Several units: world positions of one are not those of the other."""
    by_unit: dict[object, str] = {}
    for array in arrays:
        for unit in (array.geometry and array.geometry.units) or ():
            by_unit.setdefault(NANOMETERS.get(unit, unit), f"{array.name} in {unit}")
    if len(by_unit) > 1:
        yield f"the arrays are in several units: {', '.join(by_unit.values())}"


def _apart(arrays: Sequence[StoredArray]) -> Iterator[str]:
    """Arrays that share nothing with the image that covers most of the world."""
    by_dims: dict[int, list[StoredArray]] = {}
    for array in arrays:
        by_dims.setdefault(len(array.spatial), []).append(array)
    for group in by_dims.values():
        first = max(group, key=_covers)
        for array in group:
            if array is not first and not array.region.intersects(first.region):  # type: ignore[union-attr]
                yield (
                    f"{array.name} at {array.region} does not overlap {first.name} at "
                    f"{first.region}: is one of the offsets missing, or in voxels?"
                )


def _grids(arrays: Sequence[StoredArray]) -> Iterator[str]:
    """Arrays of the same voxel size that are shifted by a part of a voxel."""
    for one, other in combinations(arrays, 2):
        a, b = one.geometry, other.geometry
        if a is None or b is None or a.voxel_size != b.voxel_size:
            continue
        shift = (a.offset - b.offset) % a.voxel_size
        if shift != Coordinate((0,) * len(shift)):
            yield (
                f"{one.name} and {other.name} have the same voxel size, but their grids are "
                f"shifted by {shift}: no region is on both"
            )
            return


def _covers(array: StoredArray) -> tuple[bool, float]:
    size = None if array.region is None else array.region.size
    return array.guess == "image", float(size or 0)
