"""Curves of a training: from the log to arrays, to a table, and smoothed to look at."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.training.events import Event, read_events

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt


@dataclass(frozen=True)
class Series:
    """A number over the course of a training.

    Attributes
    ----------
    steps
        How many steps were done, int64.
    active
        Active seconds, float64.
    time
        Seconds since 1970, float64.
    values
        The number, float64.
    """

    steps: npt.NDArray[np.int64]
    active: npt.NDArray[np.float64]
    time: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.steps)

    def ema(self, decay: float = 0.995, start: float | None = None) -> Series:
        """The same with values of `ema`."""
        return replace(self, values=ema(self.values, decay, start))

    def sma(self, width: int = 8) -> Series:
        """The same with values of `sma`."""
        return replace(self, values=sma(self.values, width))


def history(path: str | Path, names: Collection[str] | None = None) -> dict[str, Series]:
    """The numbers of a run by name; a run that was resumed has one history.

    Parameters
    ----------
    path
        The log of the run, or its directory.
    names
        Which of them; None: every name that has numbers.

    Returns
    -------
    dict[str, Series]
        In the order of their names' first events.

    Raises
    ------
    KeyError
        If a name has no numbers.
    FileNotFoundError
        If there is no log.
    """
    found: dict[str, list[Event]] = {}
    for event in read_events(path, names):
        if isinstance(event.value, (int, float)) and not isinstance(event.value, bool):
            found.setdefault(event.name, []).append(event)
    missing = [name for name in names or () if name not in found]
    if missing:
        there = ", ".join(history(path)) or "nothing"
        raise KeyError(f"{path} has no numbers of {', '.join(missing)}; it has {there}")
    wanted = found if names is None else {name: found[name] for name in names}
    return {name: _series(events) for name, events in wanted.items()}


def to_csv(path: str | Path, target: str | Path, names: Collection[str] | None = None) -> None:
    """Write the events of a run as a table: step, active, time, name, value.

    Parameters
    ----------
    path
        The log of the run, or its directory.
    target
        The file. An older one is replaced in one step. Texts are written as they are; lists and
        dictionaries as JSON.
    names
        Which events; None: all.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    """
    events = read_events(path, names)
    target = Path(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(Event._fields)
            table.writerows(event._replace(value=_cell(event.value)) for event in events)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def ema(
    values: npt.ArrayLike, decay: float = 0.995, start: float | None = None
) -> npt.NDArray[np.float64]:
    """Exponential moving average: ``decay`` of what it was and ``1 - decay`` of each value.

    Parameters
    ----------
    values
        Numbers, one axis. Those that are not finite change nothing.
    decay
        From 0 (the values themselves) to below 1.
    start
        What it was before the first value; None: the first finite value.

    Raises
    ------
    ValueError
        If `decay` is not in [0, 1).

    Examples
    --------
    >>> ema([1, 0, 0], 0.5).tolist()
    [1.0, 0.5, 0.25]
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay has to be at least 0 and less than 1, got {decay}")
    numbers = np.asarray(values, np.float64)
    finite = np.flatnonzero(np.isfinite(numbers))
    smooth = np.full(numbers.shape, np.nan if start is None else start)
    if finite.size == 0:
        return smooth
    from scipy.signal import lfilter  # slow to load

    before = numbers[finite[0]] if start is None else start
    averaged, _ = lfilter([1 - decay], [1, -decay], numbers[finite], zi=[decay * before])
    ends = np.append(finite[1:], len(numbers))
    smooth[finite[0] :] = np.repeat(averaged, ends - finite)
    return smooth


def sma(values: npt.ArrayLike, width: int = 8) -> npt.NDArray[np.float64]:
    """Mean of the last `width` values, or of all so far where they are fewer.

    Parameters
    ----------
    values
        Numbers, one axis. Those that are not finite do not count; where there are no others, the
        mean is nan.
    width
        How many values, 1 or more.

    Raises
    ------
    ValueError
        If `width` is less than 1.

    Examples
    --------
    >>> sma([1, 2, 3, 5], 2).tolist()
    [1.0, 1.5, 2.5, 4.0]
    """
    if width < 1:
        raise ValueError(f"width has to be at least 1, got {width}")
    numbers = np.asarray(values, np.float64)
    padded = np.concatenate([np.full(width - 1, np.nan), numbers])
    if not numbers.size:
        return numbers.copy()
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    counts = np.isfinite(windows)
    # Window by window, as differences of running sums lose small values next to large ones.
    sums: npt.NDArray[np.float64] = np.sum(windows, axis=1, where=counts)
    return np.where(counts.any(axis=1), sums / np.maximum(counts.sum(axis=1), 1), np.nan)


def _series(events: list[Event]) -> Series:
    steps, active, time, _, values = zip(*events, strict=True)
    return Series(
        np.array(steps, np.int64),
        np.array(active, np.float64),
        np.array(time, np.float64),
        np.array(values, np.float64),
    )


def _cell(value: Any) -> Any:
    return value if isinstance(value, str) else json.dumps(value)
