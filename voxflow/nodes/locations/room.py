"""How far a request can be moved so that all of it stays inside of what there is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from voxflow.pipeline.engine.errors import RequestRefused
from voxflow.pipeline.geometry import Coordinate, Roi, describe, lcm
from voxflow.pipeline.geometry.exact import format_exact, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voxflow.pipeline.data import BatchRequest, Key, ProviderSpec
    from voxflow.pipeline.geometry.exact import Exact


@dataclass(frozen=True, slots=True)
class Room:
    """The moves that keep a request inside: whole multiples of a step, from first to last.

    Attributes
    ----------
    step
        The smallest move, in world units: a whole number of voxels of every requested array.
    first, last
        The outermost multiples, one for each axis; None where nothing bounds them.
    """

    step: Coordinate
    first: tuple[int | None, ...]
    last: tuple[int | None, ...]

    @property
    def open_axes(self) -> list[int]:
        """The axes that nothing bounds at one side at least."""
        pairs = zip(self.first, self.last, strict=True)
        return [axis for axis, pair in enumerate(pairs) if None in pair]

    def holds(self, index: Iterable[int]) -> bool:
        """Whether a move, in steps, keeps the request inside."""
        return all(
            (low is None or low <= i) and (high is None or i <= high)
            for i, low, high in zip(index, self.first, self.last, strict=True)
        )

    def shift(self, index: Iterable[int]) -> Coordinate:
        """A move in world units."""
        return self.step * Coordinate(index)

    def __str__(self) -> str:
        ranges = (
            f"{_text(None if low is None else low * step)} to "
            f"{_text(None if high is None else high * step)}"
            for low, high, step in zip(self.first, self.last, self.step, strict=True)
        )
        return f"{' / '.join(ranges)} in steps of {self.step} (world units)"


class _Demand(NamedTuple):
    """What is asked of one key, and what there is."""

    key: Key
    asked: Roi
    there: Roi
    voxel_size: Coordinate | None


def find_room(label: str, request: BatchRequest, offered: ProviderSpec) -> Room:
    """How far a request can be moved.

    Parameters
    ----------
    label
        Who asks, for messages.
    request
        The regions. Those of which only the place matters (placeholders) count as well.
    offered
        What upstream provides. What is not in it, or has no region, does not count.

    Raises
    ------
    RequestRefused
        If no move fits: for each key what was asked, what is there, and by how much each axis
        misses.
    """
    demands = _demands(request, offered)
    if not demands:
        return Room(Coordinate(), (), ())
    _check_dims(label, demands)
    step = _step(demands)
    problems = [text for demand in demands if (text := _too_large(label, demand))]
    if problems:
        raise RequestRefused(problems)
    first, last = [], []
    for axis, size in enumerate(step):
        low, high = _limits(demands, axis)
        first.append(None if low is None else int(-(-low[0] // size)))
        last.append(None if high is None else int(high[0] // size))
        if low and high and first[-1] > last[-1]:  # type: ignore[operator]
            problems.append(_no_common(label, axis, size, low, high))
    if problems:
        raise RequestRefused(problems)
    return Room(step, tuple(first), tuple(last))


def _demands(request: BatchRequest, offered: ProviderSpec) -> list[_Demand]:
    demands = []
    for key, spec in request.items():
        if key in offered and spec.roi is not None and offered[key].roi is not None:
            there: Any = offered[key]
            demands.append(_Demand(key, spec.roi, there.roi, getattr(there, "voxel_size", None)))
    return demands


def _check_dims(label: str, demands: Sequence[_Demand]) -> None:
    for d in demands:
        if d.asked.dims != d.there.dims:
            raise RequestRefused(
                [f"{label}, {d.key}: {d.asked.dims} dimensions were asked, there are {d.there}"]
            )
    if len({d.asked.dims for d in demands}) > 1:
        dims = ", ".join(f"{d.key} has {d.asked.dims}" for d in demands)
        raise RequestRefused(
            [f"{label}: regions that move together need equally many dimensions, but {dims}"]
        )


def _step(demands: Sequence[_Demand]) -> Coordinate:
    sizes = [d.voxel_size for d in demands if d.voxel_size is not None]
    return lcm(*sizes) if sizes else Coordinate((1,) * demands[0].asked.dims)


_Limit = tuple["Exact", "Key"] | None


def _limits(demands: Sequence[_Demand], axis: int) -> tuple[_Limit, _Limit]:
    """The least and the largest move along an axis, and who sets them."""
    lows, highs = [], []
    for d in demands:
        low = (d.there.begin - d.asked.begin)[axis]
        high = (d.there.end - d.asked.end)[axis]
        lows += [] if low is None else [(low, d.key)]
        highs += [] if high is None else [(high, d.key)]
    low_end = max(lows, key=lambda limit: limit[0]) if lows else None
    high_end = min(highs, key=lambda limit: limit[0]) if highs else None
    return low_end, high_end


def _too_large(label: str, d: _Demand) -> str | None:
    """What is wrong if the region of one key is larger than all there is of it."""
    if d.there.empty:
        return f"{label}, {d.key}: there is nothing of it, its region upstream is empty."
    misses = [
        None if here is None or there is None else max(here - there, 0)
        for here, there in zip(d.asked.shape, d.there.shape, strict=True)
    ]
    if not any(misses):
        return None
    units = d.voxel_size
    in_voxels = "" if units is None else f" = {d.asked.shape / units} voxels of {units}"
    missing = "; ".join(
        f"axis {axis} misses {_count(miss, 'world unit')}"
        + ("" if units is None else f" = {_count(Fraction(miss) / units[axis], 'voxel')}")
        for axis, miss in enumerate(misses)
        if miss
    )
    grown = Coordinate(
        -(-Fraction(miss or 0) / 2 // (1 if units is None else units[axis]))
        * (1 if units is None else units[axis])
        for axis, miss in enumerate(misses)
    )
    return (
        f"{label}, {d.key}: it fits nowhere. A region of {d.asked.shape} world units{in_voxels} "
        f"was asked, there is {describe(d.there, units)}: {missing}. Ask for less, let downstream "
        f"nodes add less context, or put Pad({d.key}, {grown}) between source and {label}."
    )


def _count(number: Any, noun: str) -> str:
    return f"{_text(number)} {noun}{'' if number == 1 else 's'}"


def _no_common(label: str, axis: int, step: Exact, low: Any, high: Any) -> str:
    """What is wrong if each region fits somewhere, but not all of them together."""
    text = (
        f"{label}: the regions fit nowhere together. Along axis {axis} {low[1]} has to move by "
        f"{_text(low[0])} or more to be inside of what there is, {high[1]} by {_text(high[0])} "
        f"or less (world units)"
    )
    if low[0] <= high[0]:
        text += f", and all can only move by whole multiples of {_text(step)}"
    return (
        f"{text}. Ask for less, let downstream nodes add less context, or put Pad after the "
        f"source of {low[1]} or {high[1]}."
    )


def _text(value: Exact | None) -> str:
    return "unbounded" if value is None else format_exact(whole(value))
