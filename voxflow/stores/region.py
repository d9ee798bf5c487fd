"""Regions of voxels, and data that are to fill them, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxflow.stores.errors import DataMismatch, OutOfBounds
from voxflow.stores.grid import Bounds, format_bounds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_data", "parse_region", "slices_of"]


def parse_region(region: Sequence[Any], shape: tuple[int, ...], uri: str) -> Bounds:
    """Turn slices into begin and end of each axis, all of them inside the shape.

    Raises
    ------
    TypeError
        If the region is anything but slices without steps.
    OutOfBounds
        If it has too many axes, ends before it begins, or reaches out of the shape. Negative
        places do not count from the end.

    Examples
    --------
    >>> parse_region((slice(2, 5),), (10, 20), "x")
    ((2, 5), (0, 20))
    """
    if len(region) > len(shape):
        raise OutOfBounds(f"{uri} has {len(shape)} axes, the region has {len(region)}: {region}")
    bounds: list[tuple[int, int]] = []
    inside = True
    for axis, extent in enumerate(shape):
        cut = region[axis] if axis < len(region) else slice(None)
        if not isinstance(cut, slice) or cut.step not in (None, 1):
            raise TypeError(f"a region is a tuple of slices without steps, got {region!r}")
        begin = 0 if cut.start is None else int(cut.start)
        end = extent if cut.stop is None else int(cut.stop)
        bounds.append((begin, end))
        inside = inside and 0 <= begin <= end <= extent
    if not inside:
        raise OutOfBounds(_out_of_bounds(tuple(bounds), shape, uri))
    return tuple(bounds)


def _out_of_bounds(bounds: Bounds, shape: tuple[int, ...], uri: str) -> str:
    faults = []
    for axis, ((begin, end), extent) in enumerate(zip(bounds, shape, strict=True)):
        if begin < 0:
            faults.append(f"axis {axis} begins {-begin} voxels before the data")
        if end > extent:
            faults.append(f"axis {axis} ends {end - extent} voxels behind the data")
        if end < begin:
            faults.append(f"axis {axis} ends before it begins")
    return (
        f"voxels {format_bounds(bounds)} are not inside {uri}, which has "
        f"{format_bounds(tuple((0, extent) for extent in shape))}: {', '.join(faults)}"
    )


def check_data(data: NDArray[Any], bounds: Bounds, dtype: np.dtype[Any], uri: str) -> None:
    """Raise if data are not of the shape of a region and of a dtype.

    Raises
    ------
    DataMismatch
        Says what they are, and what they were to be.
    """
    shape = tuple([end - begin for begin, end in bounds])
    if data.shape != shape:
        raise DataMismatch(
            f"voxels {format_bounds(bounds)} of {uri} have shape {shape}, the data {data.shape}"
        )
    if data.dtype.newbyteorder("=") != dtype:
        raise DataMismatch(
            f"{uri} holds {dtype}, the data are {data.dtype}: cast them before, e.g. "
            f"data.astype({dtype.name!r}), or write to a dataset of dtype {data.dtype}"
        )


def slices_of(bounds: Bounds) -> tuple[slice, ...]:
    """A region as slices."""
    return tuple([slice(begin, end) for begin, end in bounds])
