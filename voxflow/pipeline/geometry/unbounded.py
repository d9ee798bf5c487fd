"""How regions lie to each other where a dimension may be unbounded.

An entry ``None`` of a begin lies below every number, one of an end above.
"""

import math
from collections.abc import Callable
from typing import Any

from voxflow.pipeline.geometry.coordinate import Coordinate
from voxflow.pipeline.geometry.exact import Exact, exact

__all__ = ["common", "consolidated", "contains", "contains_point", "hull", "overlap"]


def consolidated(offset: Coordinate, shape: Coordinate) -> Coordinate:
    """Give the offset with ``None`` where the shape is unbounded.

    Raises
    ------
    ValueError
        If a bounded extent has no offset, and the region is not empty.
    """
    nothing = any(extent is not None and extent <= 0 for extent in shape)
    for begin, extent in zip(offset, shape, strict=True):
        if begin is None and extent is not None and not nothing:
            raise ValueError(
                f"a Roi with shape {shape!r} needs an offset wherever the shape is bounded, "
                f"got offset {offset!r}"
            )
    return Coordinate(
        None if extent is None else begin for begin, extent in zip(offset, shape, strict=True)
    )


def contains(outer: Any, inner: Any) -> bool:
    """Say whether ``inner`` lies in ``outer``; neither is empty."""
    if outer.shape.count(None) == len(outer.shape):
        return True
    return all(
        (low is None or (begin is not None and low <= begin))
        and (high is None or (end is not None and end <= high))
        for low, high, begin, end in zip(
            outer.offset, outer.end, inner.offset, inner.end, strict=True
        )
    )


def contains_point(region: Any, point: Any) -> bool:
    """Say whether a point lies in ``region``, which is not empty.

    Raises
    ------
    TypeError
        If it is no iterable of numbers.
    """
    if isinstance(point, (str, bytes)) or not hasattr(point, "__iter__"):
        raise TypeError(f"a Roi contains regions and points, got {type(point).__name__} {point!r}")
    entries = tuple(point)
    return len(entries) == len(region.shape) and all(
        (low is None or (entry is not None and _as_meant(entry, low) >= low))
        and (high is None or (entry is not None and _as_meant(entry, high) < high))
        for entry, low, high in zip(entries, region.offset, region.end, strict=True)
    )


def _as_meant(number: Any, bound: Exact) -> Any:
    """Read a float beside a bound that is not whole as the decimal that it is written with."""
    if type(bound) is int or not math.isfinite(number):
        return number
    return exact(number)


def overlap(one: Any, other: Any) -> bool:
    """Say whether the two have a volume in common; neither is empty."""
    return all(
        (b1 is None or e2 is None or b1 < e2) and (b2 is None or e1 is None or b2 < e1)
        for b1, e1, b2, e2 in zip(one.offset, one.end, other.offset, other.end, strict=True)
    )


def common(one: Any, other: Any) -> tuple[Coordinate, Coordinate]:
    """Give begin and end of what two overlapping regions share."""
    return (
        Coordinate(map(_bounded(max), one.offset, other.offset)),
        Coordinate(map(_bounded(min), one.end, other.end)),
    )


def hull(one: Any, other: Any) -> tuple[Coordinate, Coordinate]:
    """Give begin and end of the smallest region around both."""
    return (
        Coordinate(map(_unbounded(min), one.offset, other.offset)),
        Coordinate(map(_unbounded(max), one.end, other.end)),
    )


def _bounded(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let ``choose`` pass over ``None``."""
    return lambda x, y: y if x is None else x if y is None else choose(x, y)


def _unbounded(choose: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let ``None`` win over ``choose``."""
    return lambda x, y: None if x is None or y is None else choose(x, y)
