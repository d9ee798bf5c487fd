"""What is tuned: options of a configuration, and the values that are tried."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.training.config.mistakes import ConfigError, Mistake
from voxflow.training.config.options import find_option, kind_of, split_key
from voxflow.training.config.schema import Config
from voxflow.training.config.settings import said
from voxflow.training.config.text import parse_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voxflow.training.config import Settings

__all__ = ["Choice", "Range", "assignment", "check_space", "nested", "parse_parameter"]


@dataclass(frozen=True)
class Range:
    """All numbers from one to another.

    Parameters
    ----------
    low, high
        The least and the greatest; both are tried.
    log
        Whether each power of ten is as likely as any other.
    whole
        Whether only whole numbers are.

    Raises
    ------
    ValueError
        If there is nothing between them, or no logarithm.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"{self} should go from a number to a larger one")
        if self.log and self.low <= 0:
            raise ValueError(f"{self} is logarithmic, and should begin above 0")

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}{':log' if self.log else ''}"

    @property
    def samples(self) -> tuple[Any, ...]:
        """Values that say whether all can be taken."""
        return self.low, self.high

    def around(self, value: float, powers: float) -> Range:
        """What of the range is up to so many powers of ten below and above a value of it.

        >>> print(Range(1e-6, 0.05, log=True).around(0.01, 1))
        0.001..0.05:log
        """
        low, high = value / 10**powers, value * 10**powers
        return Range(max(self.low, low), min(self.high, high), True, self.whole)


@dataclass(frozen=True)
class Choice:
    """One of some values.

    Parameters
    ----------
    values
        What there is to choose from.

    Raises
    ------
    ValueError
        If there is nothing, or one twice.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        texts = list(map(said, self.values))
        if not texts or len(set(texts)) < len(texts):
            raise ValueError(f"[{self}] should be values that differ")

    def __str__(self) -> str:
        return ",".join(map(said, self.values))

    @property
    def samples(self) -> tuple[Any, ...]:
        """Values that say whether all can be taken."""
        return self.values


def parse_parameter(text: str) -> tuple[str, Range | Choice]:
    """An option and the values that are tried, as they are written on the command line.

    Parameters
    ----------
    text
        ``KEY=LOW..HIGH``, ``KEY=LOW..HIGH:log``, or ``KEY=A,B,C``, with values as in YAML. A range
        is of whole numbers if the option is, or, where it may be anything, if both ends are.

    Returns
    -------
    tuple
        The dotted key, and the values.

    Raises
    ------
    ConfigError
        If it cannot be read. Whether there is such an option is not looked at.

    Examples
    --------
    >>> parse_parameter("optimizer.lr=1e-5..1e-2:log")
    ('optimizer.lr', Range(low=1e-05, high=0.01, log=True, whole=False))
    >>> parse_parameter("optimizer.name=Adam,SGD")
    ('optimizer.name', Choice(values=('Adam', 'SGD')))
    """
    key, equals, values = text.partition("=")
    key = key.strip()
    try:
        if not equals or not all(key.split(".")):
            raise ValueError("should be KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A,B,C")
        low, dots, high = values.partition("..")
        if not dots:
            return key, Choice(tuple(parse_value(f"[{values}]")))
        high, colon, how = high.partition(":")
        if colon and how.strip() != "log":
            raise ValueError(f"after a range there may be :log, got :{how}")
        return key, _range(key, parse_value(low), parse_value(high), bool(colon))
    except ValueError as error:
        raise ConfigError([Mistake("--param", text, str(error))]) from error


def _range(key: str, low: Any, high: Any, log: bool) -> Range:
    ends = (low, high)
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        raise ValueError(f"a range is between numbers, got {said(low)} and {said(high)}")
    whole = all(isinstance(end, int) for end in ends)
    try:
        kind = kind_of(find_option(Config, key)[0])
    except KeyError:
        kind = ""  # the schema says what was likely meant
    if kind.startswith("whole number"):
        if not whole:
            raise ValueError(f"{key} takes whole numbers")
    elif kind.startswith("number"):
        whole = False
    if not whole:
        low, high = float(low), float(high)
    return Range(low, high, log, whole)


def assignment(key: str, value: Any) -> str:
    """``key=value`` as the command line takes it.

    >>> assignment("optimizer.lr", 0.5), assignment("data.input_shape", [8, 8])
    ('optimizer.lr=0.5', 'data.input_shape=[8, 8]')
    """
    return f"{key}={said(value)}"


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted keys as they are in a file.

    >>> nested({"optimizer.lr": 0.5, "optimizer.name": "SGD", "seed": 1})
    {'optimizer': {'lr': 0.5, 'name': 'SGD'}, 'seed': 1}
    """
    found: dict[str, Any] = {}
    for key, value in values.items():
        *above, name = split_key(Config, key)
        here = found
        for part in above:
            here = here.setdefault(part, {})
        here[name] = value
    return found


def check_space(
    load: Callable[[Sequence[str]], Settings], space: Mapping[str, Range | Choice]
) -> Settings:
    """Let the schema say all that is wrong with what is tuned, before anything begins.

    Parameters
    ----------
    load
        Gives the configuration with ``key=value`` on top of it.
    space
        What is tuned, by dotted keys.

    Returns
    -------
    Settings
        The configuration with the first values.

    Raises
    ------
    ConfigError
        With a line for each mistake.
    """
    first = {key: values.samples[0] for key, values in space.items()}
    tries = [first]
    tries += [{**first, key: v} for key, values in space.items() for v in values.samples[1:]]
    mistakes: dict[Mistake, None] = {}
    for values in tries:
        try:
            load(_assigned(values))
        except ConfigError as error:
            mistakes |= dict.fromkeys(error.mistakes)
    if mistakes:
        raise ConfigError(mistakes)
    return load(_assigned(first))


def _assigned(values: Mapping[str, Any]) -> list[str]:
    return [assignment(key, value) for key, value in values.items()]
