"""What voxels look like that something went wrong with: counted in one pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxflow.pipeline.compiled import kernel

from .pointers import unlocked

__all__ = ["Health", "can_be_counted", "health", "repeated_sections"]

_PIECE = 4096  # voxels that stay in the nearest cache while they are counted


@dataclass(frozen=True)
class Health:
    """What was counted.

    Attributes
    ----------
    voxels
        How many there are, channels included.
    nan, inf
        How many are not a number, and how many are infinite.
    lowest, highest
        How many are at or beyond either limit.
    constant
        Whether all are the same, and a number.
    """

    voxels: int
    nan: int
    inf: int
    lowest: int
    highest: int
    constant: bool


def can_be_counted(dtype: DTypeLike) -> bool:
    """Whether values are of a type that `health` knows: bool, integers, floats of up to 64 bits."""
    dtype = np.dtype(dtype)
    return dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize <= 8)


def health(data: NDArray[Any], limits: tuple[float, float] | None = None) -> Health:
    """Count what is not a number, infinite, or at a limit.

    Parameters
    ----------
    data
        The voxels, of any shape.
    limits
        Values at or below the first count as lowest, at or above the second as highest. None: the
        limits of an integer type; none for others.

    Raises
    ------
    TypeError
        If the values are neither bool, integers, nor floats of up to 64 bits.

    Examples
    --------
    >>> health(np.array([0, 0, 7, 255], np.uint8))
    Health(voxels=4, nan=0, inf=0, lowest=2, highest=1, constant=False)
    >>> health(np.array([np.nan, 1.0, 0.5]), limits=(0, 1))
    Health(voxels=3, nan=1, inf=0, lowest=0, highest=1, constant=False)
    """
    if not can_be_counted(data.dtype):
        raise TypeError(
            f"values of {data.dtype} cannot be checked, only bool, integers, and floats of up to "
            "64 bits; convert them first, as AsType does"
        )
    if data.size == 0:
        return Health(0, 0, 0, 0, 0, constant=False)
    values = _native(data)
    if values.dtype.kind == "f":
        low, high = (-math.inf, math.inf) if limits is None else limits
        kind = values.dtype.type
        nan, inf, lowest, highest, differ = _of_floats(values, kind(low), kind(high))
        if limits is None:
            lowest = highest = 0
        return Health(data.size, nan, inf, lowest, highest, not differ)
    low, high, within = _whole_limits(values.dtype, data.dtype, limits)
    lowest, highest, constant = _of_integers(values, low, high)
    return Health(data.size, 0, 0, lowest * within[0], highest * within[1], bool(constant))


def repeated_sections(data: NDArray[Any], axis: int) -> list[int]:
    """Sections that are the same as the one after them, bit for bit, and not of a single value.

    Parameters
    ----------
    data
        The voxels.
    axis
        The axis across sections; all axes before it are channels. A section of which each channel
        holds a single value is left out.

    Returns
    -------
    list[int]
        The index of the first of each such pair.

    Examples
    --------
    >>> repeated_sections(np.array([[1, 2], [1, 2], [3, 3], [3, 3]]), 0)
    [0]
    """
    if data.size == 0:
        return []
    bits = unlocked(np.ascontiguousarray(data)).view(f"u{data.dtype.itemsize}")
    channels = math.prod(data.shape[:axis])
    sections = bits.reshape(channels, data.shape[axis], -1)
    return [i for i in range(data.shape[axis] - 1) if _is_repeated(sections, i)]


def _native(data: NDArray[Any]) -> NDArray[Any]:
    """The values in a row, as a type that kernels know."""
    kind = data.dtype.newbyteorder("=")
    if kind.kind == "b":
        kind = np.dtype(np.uint8)
    elif kind == np.float16:
        kind = np.dtype(np.float32)
    return unlocked(np.ascontiguousarray(data, dtype=kind).reshape(-1))


def _whole_limits(
    kind: np.dtype[Any], of: np.dtype[Any], limits: tuple[float, float] | None
) -> tuple[Any, Any, tuple[bool, bool]]:
    """Limits as values of an integer type, and whether there are such values at all."""
    there = np.iinfo(kind)
    if limits is None:
        return kind.type(there.min), kind.type(there.max), (of.kind != "b",) * 2
    # Infinite ones are as good as none.
    low = there.min - 1 if limits[0] == -math.inf else math.floor(limits[0])
    high = there.max + 1 if limits[1] == math.inf else math.ceil(limits[1])
    within = low >= there.min, high <= there.max
    low, high = (min(max(n, there.min), there.max) for n in (low, high))
    return kind.type(low), kind.type(high), within


# Rows have kernels of their own: only slices, whose index is never negative, are vectorised.


@kernel
def _extremes(row: Any) -> Any:
    low, high = row[0], row[0]
    for i in range(row.size):
        value = row[i]
        low = value if value < low else low
        high = value if value > high else high
    return low, high


@kernel
def _at_limits(row: Any, low: Any, high: Any) -> Any:
    below, above = np.int32(0), np.int32(0)
    for i in range(row.size):
        value = row[i]
        below = np.int32(below + np.int32(value <= low))
        above = np.int32(above + np.int32(value >= high))
    return below, above


@kernel
def _of_integers(values: Any, low: Any, high: Any) -> Any:
    """How many are at the limits, and whether all are the same."""
    lowest, highest = 0, 0
    least, most = values[0], values[0]
    for begin in range(0, values.size, _PIECE):
        row = values[begin : begin + _PIECE]
        smaller, larger = _extremes(row)
        least, most = min(least, smaller), max(most, larger)
        # Most pieces of an image touch no limit.
        if smaller <= low or larger >= high:
            below, above = _at_limits(row, low, high)
            lowest += below
            highest += above
    return lowest, highest, least == most


@kernel
def _row_of_floats(row: Any, low: Any, high: Any, first: Any) -> Any:
    nan, inf, below = np.int32(0), np.int32(0), np.int32(0)
    above, differ = np.int32(0), np.int32(0)
    for i in range(row.size):
        value = row[i]
        nan = np.int32(nan + np.int32(value != value))
        inf = np.int32(inf + np.int32(abs(value) == np.inf))
        below = np.int32(below + np.int32(value <= low))
        above = np.int32(above + np.int32(value >= high))
        differ = np.int32(differ | np.int32(value != first))
    return nan, inf, below, above, differ


@kernel
def _of_floats(values: Any, low: Any, high: Any) -> Any:
    nan, inf, lowest, highest, differ = 0, 0, 0, 0, 0
    for begin in range(0, values.size, _PIECE):
        row = values[begin : begin + _PIECE]
        found = _row_of_floats(row, low, high, values[0])
        nan += found[0]
        inf += found[1]
        lowest += found[2]
        highest += found[3]
        differ |= found[4]
    return nan, inf, lowest, highest, differ


@kernel
def _differ(row: Any, other: Any) -> Any:
    differ = np.int32(0)
    for i in range(row.size):
        differ = np.int32(differ | np.int32(row[i] != other[i]))
    return differ


@kernel
def _is_repeated(sections: Any, i: int) -> bool:
    """Whether section `i` of all channels is that after it, and not constant in each channel."""
    channels, _, size = sections.shape
    for c in range(channels):
        for x in range(0, size, _PIECE):
            here = sections[c, i, x : x + _PIECE]
            if _differ(here, sections[c, i + 1, x : x + _PIECE]):
                return False
    for c in range(channels):
        for x in range(size):
            if sections[c, i, x] != sections[c, i, 0]:
                return True
    return False
