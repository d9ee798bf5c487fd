"""Sides take turns; medians, and medians of the ratios of pairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, TypeVar

from .side import Side

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

K = TypeVar("K", bound="Hashable")

Times = list[tuple[float, float]]
"""Wall and processor seconds of each round."""


@dataclass
class Row:
    """A line of a table.

    Attributes
    ----------
    work
        what was done.
    baseline
        beside whom.
    ours, theirs
        seconds, medians; or bytes.
    ratio
        how many times as long theirs took: the median over pairs of neighbours in time.
    goal
        what the ratio should be at least.
    limit
        what ours should be at most, in seconds.
    unit
        what ours and theirs are shown in, see `table.UNITS`.
    cpu
        the same ratio of processor time.
    floor
        seconds that cannot be gone below, as far as that is known: bytes moved by memory bandwidth.
    note
        what was compared.
    """

    work: str
    baseline: str
    ours: float
    theirs: float
    ratio: float
    goal: float | None = None
    limit: float | None = None
    cpu: float | None = None
    floor: float | None = None
    unit: str = "ms"
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)


def take_turns(
    ours: Side,
    others: dict[str, Side | tuple[Side, str]],
    rounds: int,
    call: str = "run",
    counts: tuple[int, int] = (1, 1),
    **arguments: Any,
) -> dict[str, dict[str, Any]]:
    """Let all sides work in turn; seconds and ratios beside each of the others.

    Parameters
    ----------
    ours
        our side.
    others
        the other ones, by name; with the name of a function where that is not the same.
    rounds
        how often.
    call
        what is called, with ``count=``.
    counts
        how often our side, and each of the others, does it in a round.
    **arguments
        passed on.
    """
    mine: Times = []
    theirs: dict[str, Times] = {name: [] for name in others}
    for _ in range(rounds):
        mine.append(_seconds(ours, call, counts[0], arguments))
        for name, other in others.items():
            side, function = other if isinstance(other, tuple) else (other, call)
            theirs[name].append(_seconds(side, function, counts[1], arguments))
    return {name: beside(mine, times) for name, times in theirs.items()}


def turns(sides: Mapping[K, Side], rounds: int, call: str = "run") -> dict[K, Times]:
    """Let sides work in turn; wall and processor seconds of each round.

    The pauses of a side, and who comes before it, are the same in each round.
    """
    times: dict[K, Times] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(_seconds(side, call, 1, {}))
    return times


def beside(mine: Times, theirs: Times) -> dict[str, Any]:
    """Medians of two sides that took turns, and of the ratios of pairs."""
    pairs = list(zip(mine, theirs, strict=True))
    return {
        "ours": median(wall for wall, _ in mine),
        "theirs": median(wall for wall, _ in theirs),
        "ratio": median(b[0] / a[0] for a, b in pairs),
        "cpu": median(b[1] / max(a[1], 1e-9) for a, b in pairs),
        "cpu of all": sum(b for _, b in theirs) / max(sum(a for _, a in mine), 1e-9),
        "our cpu": median(cpu for _, cpu in mine),
        "their cpu": median(cpu for _, cpu in theirs),
        "spread": sorted(round(b[0] / a[0], 2) for a, b in pairs),
    }


def _seconds(side: Side, call: str, count: int, arguments: dict[str, Any]) -> tuple[float, float]:
    answer = side.call(call, count=count, **arguments)
    return answer["wall"] / count, answer["cpu"] / count


def row(work: str, baseline: str, found: dict[str, Any], **more: Any) -> Row:
    """A line of what `take_turns` found."""
    seconds = (found["ours"], found["theirs"], found["ratio"])
    rest = {name: found[name] for name in ("spread", "our cpu", "their cpu")}
    return Row(work, baseline, *seconds, cpu=found["cpu"], more=rest, **more)
