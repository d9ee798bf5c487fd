"""The voxel grid: common voxel sizes, and regions seen from the grid."""

import math
from collections.abc import Iterable
from fractions import Fraction
from operator import floordiv, mod, sub
from typing import Any, overload

from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, exact, format_exact, whole
from voxflow.pipeline.geometry.roi import Roi

__all__ = ["describe", "lcm", "nearest_on_grid", "voxel_slices"]


@overload
def lcm(first: Coordinate, *others: Coordinate) -> Coordinate: ...
@overload
def lcm(first: Exact | float, *others: Exact | float) -> Exact: ...
def lcm(first: Any, *others: Any) -> Any:
    """Give the smallest positive number that is a whole multiple of each of the given ones.

    Coordinates (voxel sizes) are taken entry by entry. For reduced fractions the result is the
    lcm of the numerators over the gcd of the denominators.

    Raises
    ------
    ValueError
        If a number is not positive, or if coordinates differ in length.

    Examples
    --------
    >>> lcm(4, 6), lcm(9.8, 2), lcm(Coordinate(9.8, 4), Coordinate(2, 6))
    (12, 98, (98, 12))
    """
    if isinstance(first, tuple):
        sizes = [Coordinate(size) for size in (first, *others)]
        if len({len(size) for size in sizes}) > 1:
            raise ValueError(f"lcm needs voxel sizes of equal length, got {sizes!r}")
        return Coordinate([lcm(*entries) for entries in zip(*sizes, strict=True)])
    if type(first) is int and first > 0 and all(type(n) is int and n > 0 for n in others):
        return math.lcm(first, *others)
    numbers = [exact(number) for number in (first, *others)]
    for number in numbers:
        if number <= 0:
            raise ValueError(f"lcm takes positive numbers, got {format_exact(number)}")
    numerator = math.lcm(*(number.numerator for number in numbers))
    return whole(Fraction(numerator, math.gcd(*(number.denominator for number in numbers))))


def nearest_on_grid(roi: Any, voxel_size: Iterable[Any]) -> tuple[Roi, Roi]:
    """Give the regions on the voxel grid that a region off it may have been meant as.

    Returns
    -------
    tuple of Roi
        The smallest one around it and the largest one within it, which may be empty.

    Examples
    --------
    >>> nearest_on_grid(Roi((3,), (10,)), (4,))
    ([0:16] (16), [4:12] (8))
    """
    region = Roi.like(roi)
    return region.snap_to_grid(voxel_size), region.snap_to_grid(voxel_size, "shrink")


def voxel_slices(roi: Roi, origin: Coordinate, voxel_size: Coordinate) -> tuple[slice, ...]:
    """Give the slices that cut a region out of voxels that begin at `origin`; all in world units.

    The same as ``((roi - origin) / voxel_size).to_slices()``, in one step.

    Raises
    ------
    ValueError
        If the region does not begin and end on whole voxels from there.

    Examples
    --------
    >>> voxel_slices(Roi((98, 8), (49, 4)), Coordinate(49, 0), Coordinate(9.8, 4))
    (slice(5, 10, None), slice(2, 3, None))
    """
    if len(roi.shape) == len(origin) == len(voxel_size) and not roi.empty:
        try:
            begin = tuple(map(sub, roi.offset, origin))
            end = tuple(map(sub, roi.end, origin))
            if not (any(map(mod, begin, voxel_size)) or any(map(mod, end, voxel_size))):
                begins, ends = map(floordiv, begin, voxel_size), map(floordiv, end, voxel_size)
                return tuple(map(slice, begins, ends))
        except TypeError:  # an entry is None
            pass
    return ((roi - origin) / voxel_size).to_slices()


def describe(roi: Any, voxel_size: Iterable[Any] | None = None) -> str:
    """Write a region in world units and in voxels, for messages.

    >>> print(describe(Roi((98, 0), (49, 40)), Coordinate(9.8, 4)))
    [98:147, 0:40] (49, 40) in world units = [10:15, 0:10] (5, 10) in voxels of (9.8, 4)
    """
    region = Roi.like(roi)
    world = f"{region!r} in world units"
    if voxel_size is None or region.empty:
        return world
    grid = Coordinate(voxel_size)
    if len(grid) != region.dims or not all(grid):
        return world  # it is used in messages, where it must not fail
    return f"{world} = {region / grid!r} in voxels of {grid!r}"
