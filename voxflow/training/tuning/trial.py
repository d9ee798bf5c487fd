"""A trial of a tuning: what was tried, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from voxflow.training.config.text import parse_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna

__all__ = ["Ended", "State", "Trial", "best_of", "told"]

State = Literal["finished", "pruned", "failed", "running"]


@dataclass(frozen=True)
class Trial:
    """What was tried, and what became of it.

    Attributes
    ----------
    number
        Counted from 0.
    stage
        The number of its stage, from 0.
    values
        What was tried, by dotted keys.
    state
        "finished", "pruned": ended early, as others were better; "failed"; or "running".
    value
        The best of the metric.
    reason
        Why it was pruned or failed.
    found
        All values of the metric, by the number of steps.
    seconds
        How long it took, pauses included.
    """

    number: int
    stage: int
    values: dict[str, Any]
    state: State
    value: float | None = None
    reason: str = ""
    found: dict[int, float] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Ended:
    """How a trial ended.

    Parameters
    ----------
    state
        "finished", "pruned" or "failed".
    reason
        Why, if it is not finished.
    counts
        Whether it is one of the trials that were asked for.
    """

    state: State
    reason: str = ""
    counts: bool = True


def told(trial: optuna.trial.FrozenTrial, mode: str) -> Trial:
    """A trial as Optuna keeps it."""
    from optuna.trial import TrialState as states  # noqa: N813

    names: dict[Any, State] = {
        states.COMPLETE: "finished",
        states.PRUNED: "pruned",
        states.FAIL: "failed",
    }
    duration = trial.duration
    return Trial(
        trial.number,
        trial.user_attrs.get("stage", 0),
        {k: parse_value(v) if isinstance(v, str) else v for k, v in trial.params.items()},
        names.get(trial.state, "running"),
        best_of(trial.intermediate_values, mode),
        trial.user_attrs.get("reason", ""),
        dict(trial.intermediate_values),
        None if duration is None else duration.total_seconds(),
    )


def best_of(found: Mapping[int, float], mode: str) -> float | None:
    """The best of all values that are finite.

    >>> best_of({10: 2.0, 20: 1.0, 30: math.nan}, "min")
    1.0
    """
    finite = [value for value in found.values() if math.isfinite(value)]
    return (min if mode == "min" else max)(finite, default=None)
