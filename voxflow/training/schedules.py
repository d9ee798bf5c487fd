"""Values that change over a training. Each is a function of the step, so nothing has to be kept."""

from __future__ import annotations

import copy
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Decay", "Linear", "Schedule", "Updates"]


class Schedule(Protocol):
    """Says which value holds at a step.

    A schedule that depends on what is measured also has ``observe(step, metrics)``,
    ``state_dict()`` and ``load_state_dict(state)``: see `Plateau`.
    """

    def value(self, step: int, initial: Any, since: int | None = None) -> Any:
        """The value that holds for what follows a step.

        Parameters
        ----------
        step
            How many steps were done.
        initial
            The value that the schedule begins from: a number, or a list of numbers.
        since
            At which step somebody set it to `initial`; None: nobody did, it is that of the start.
        """


class Decay:
    """Multiplies by a factor at every multiple of so many steps, not at step 0.

    Parameters
    ----------
    factor
        0 or more.
    every
        How many steps.

    Raises
    ------
    ValueError
        If the factor is negative, or `every` is less than 1.

    Examples
    --------
    >>> [round(Decay(0.95).value(step, 1.0), 6) for step in (999, 1000, 2000, 3000)]
    [1.0, 0.95, 0.9025, 0.857375]
    """

    def __init__(self, factor: float, every: int = 1000) -> None:
        if not factor >= 0:
            raise ValueError(f"the factor has to be 0 or more, got {factor}")
        self.factor = factor
        self.every = _at_least_1("every", every)

    def value(self, step: int, initial: Any, since: int | None = None) -> Any:
        """The value that holds for what follows a step (see `Schedule`)."""
        factor = self.factor ** (step // self.every - (since or 0) // self.every)
        return each(initial, lambda number: number * factor)


class Linear:
    """Goes to a value in a straight line, and stays there: exactly that value from `steps` on.

    A value that is set by hand on the way goes to the same end, at the same step. One that is set
    after the end stays.

    Parameters
    ----------
    to
        The value at the end.
    steps
        At which step.
    every
        The value is changed at multiples of so many steps, and at the end; 1: at every step.

    Raises
    ------
    ValueError
        If `steps` or `every` is less than 1.

    Examples
    --------
    >>> line = Linear(0, 4000)
    >>> [round(line.value(step, 0.001), 6) for step in (0, 1000, 2000, 3000, 4000)]
    [0.001, 0.00075, 0.0005, 0.00025, 0.0]
    """

    def __init__(self, to: float, steps: int, every: int = 1000) -> None:
        self.to = to
        self.steps = _at_least_1("steps", steps)
        self.every = _at_least_1("every", every)

    def value(self, step: int, initial: Any, since: int | None = None) -> Any:
        """The value that holds for what follows a step (see `Schedule`)."""
        begin, now = self._covered(since or 0), self._covered(step)
        if now <= begin:
            return copy.copy(initial)
        if now >= self.steps:
            return each(initial, lambda number: self.to + 0.0 * number)
        share = (now - begin) / (self.steps - begin)
        return each(initial, lambda number: number + (self.to - number) * share)

    def _covered(self, step: int) -> int:
        return self.steps if step >= self.steps else step - step % self.every


class Updates:
    """Takes given values at given steps, exactly.

    Parameters
    ----------
    points
        Pairs of a step and the value from that step on, in any order. A value may be a list, or
        whatever else is to be set.
    then
        What happens between the points; None: nothing. A value holds exactly at its step: a decay
        that would be due there as well is left out.

    Raises
    ------
    ValueError
        If there are no points, a step is negative, or has two values.

    Examples
    --------
    >>> rate = Updates([(80_000, 0.001), (50_000, 0.005)], then=Decay(0.5, every=1000))
    >>> [rate.value(step, 1.0, since=49_000) for step in (49_999, 50_000, 51_000, 80_000)]
    [1.0, 0.005, 0.0025, 0.001]
    """

    def __init__(self, points: Iterable[tuple[int, Any]], then: Schedule | None = None) -> None:
        ordered = sorted(((step, copy.deepcopy(value)) for step, value in points), key=_step)
        if not ordered:
            raise ValueError("there are no points; give pairs of a step and a value")
        self._steps = [step for step, _ in ordered]
        self._values = [value for _, value in ordered]
        self.then = then
        if self._steps[0] < 0:
            raise ValueError(f"a step cannot be negative, got {self._steps[0]}")
        twice = [
            step for step, other in zip(self._steps, self._steps[1:], strict=False) if step == other
        ]
        if twice:
            raise ValueError(f"step {twice[0]} has two values; give one for each step")

    @property
    def points(self) -> list[tuple[int, Any]]:
        """Pairs of a step and a value, sorted."""
        return list(zip(self._steps, copy.deepcopy(self._values), strict=True))

    def value(self, step: int, initial: Any, since: int | None = None) -> Any:
        """The value that holds for what follows a step (see `Schedule`)."""
        latest = bisect_right(self._steps, step) - 1
        if latest >= 0 and (since is None or self._steps[latest] > since):
            initial, since = copy.deepcopy(self._values[latest]), self._steps[latest]
        return copy.copy(initial) if self.then is None else self.then.value(step, initial, since)


def each(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change a number, or every number of a list or tuple."""
    if isinstance(value, (list, tuple)):
        return type(value)([each(member, change) for member in value])
    return change(value)


def _step(point: tuple[int, Any]) -> int:
    return point[0]


def _at_least_1(name: str, number: int) -> int:
    if number < 1:
        raise ValueError(f"{name} has to be at least 1, got {number}")
    return number
