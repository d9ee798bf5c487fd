"""When a training ends, and why."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from voxflow.training.improvement import Improvement, Mode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxflow.training.when import Moment

__all__ = [
    "MaxActiveHours",
    "EarlyStopping",
    "NonFiniteMetric",
    "MaxSteps",
    "StopRule",
    "MaxWallHours",
]


class StopRule(Protocol):
    """Says after each step whether it was the last one.

    A rule with a state also has ``state_dict()`` and ``load_state_dict(state)``.
    """

    def reason(self, moment: Moment, metrics: Mapping[str, float]) -> str | None:
        """Why the training ends now.

        Parameters
        ----------
        moment
            Where the training is.
        metrics
            What was measured at this step, by name; not what was measured earlier.

        Returns
        -------
        str | None
            A sentence without a full stop; None: it goes on.
        """


def first_reason(
    rules: Sequence[StopRule], moment: Moment, metrics: Mapping[str, float]
) -> str | None:
    """The first reason to end a training. All rules are asked, as some count what they see."""
    reasons = [rule.reason(moment, metrics) for rule in rules]
    return next((reason for reason in reasons if reason is not None), None)


class MaxSteps:
    """Ends a training after so many steps, those of earlier parts of a resumed run included.

    Parameters
    ----------
    steps
        How many. It can be changed at any time.

    Raises
    ------
    ValueError
        If it is negative.
    """

    def __init__(self, steps: int) -> None:
        if steps < 0:
            raise ValueError(f"the number of steps has to be 0 or more, got {steps}")
        self.steps = steps

    def reason(self, moment: Moment, metrics: Mapping[str, float]) -> str | None:
        """Whether they are done."""
        done = moment.step >= self.steps
        return f"{moment.step} steps are done, of {self.steps}" if done else None


class _Hours:
    """Ends a training after so many hours."""

    _kind = ""

    def __init__(self, hours: float) -> None:
        if not hours > 0:
            raise ValueError(f"the hours have to be above 0, got {hours}")
        self.hours = hours

    def reason(self, moment: Moment, metrics: Mapping[str, float]) -> str | None:
        """Whether they are over."""
        seconds = self._seconds(moment)
        if seconds < self.hours * 3600:
            return None
        return f"{seconds / 3600:.2f} {self._kind} hours are over, of {self.hours:g}"

    def _seconds(self, moment: Moment) -> float:
        raise NotImplementedError


class MaxActiveHours(_Hours):
    """Ends a training after so many hours of training, of all parts of a resumed run together.

    Pauses do not count: the console, previews.

    Parameters
    ----------
    hours
        How many. It can be changed at any time.

    Raises
    ------
    ValueError
        If it is not above 0.
    """

    _kind = "active"

    def _seconds(self, moment: Moment) -> float:
        return moment.active_seconds


class MaxWallHours(_Hours):
    """Ends this part of a training after so many hours, pauses included.

    A run that is resumed has these hours again: for queues that grant a job so much time. Leave
    some for the last checkpoint.

    Parameters
    ----------
    hours
        How many. It can be changed at any time.

    Raises
    ------
    ValueError
        If it is not above 0.
    """

    _kind = "wall"

    def _seconds(self, moment: Moment) -> float:
        return moment.wall_seconds


class EarlyStopping:
    """Ends a training when a metric has not become better for a while.

    Parameters
    ----------
    metric
        Its name.
    patience
        After how many values without an improvement.
    min_delta
        By how much a value has to be better than the best one to count.
    mode
        "min": smaller is better; "max": larger is.

    Raises
    ------
    ValueError
        If a number is out of range or the mode unknown.

    Examples
    --------
    >>> from voxflow.training.when import Moment
    >>> rule = EarlyStopping("validation.loss", patience=2)
    >>> for step, loss in enumerate([1.0, 0.5, 0.6, 0.5]):
    ...     reason = rule.reason(Moment(step), {"validation.loss": loss})
    >>> reason
    'validation.loss has not become better than 0.5 in its last 2 values'
    """

    def __init__(
        self,
        metric: str,
        *,
        patience: int = 15,
        min_delta: float = 1e-4,
        mode: Mode = "min",
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience has to be at least 1, got {patience}")
        self.metric = metric
        self.patience = patience
        self._improvement = Improvement(mode, min_delta)

    def reason(self, moment: Moment, metrics: Mapping[str, float]) -> str | None:
        """Whether the patience is at an end; a step without the metric changes nothing."""
        if self.metric not in metrics:
            return None
        self._improvement.update(metrics[self.metric])
        best, without = self._improvement.best, self._improvement.without
        if without < self.patience:
            return None
        if best is None:
            return f"{self.metric} has not been finite in its last {without} values"
        return f"{self.metric} has not become better than {best:g} in its last {without} values"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return self._improvement.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self._improvement.load_state_dict(state)


class NonFiniteMetric:
    """Ends a training when a metric is infinite or not a number.

    What happens to a step whose loss is not finite is decided by the step itself; this is for what
    is measured, such as the loss of a validation.

    Parameters
    ----------
    metrics
        Their names; none: all.
    """

    def __init__(self, *metrics: str) -> None:
        self.metrics = metrics

    def reason(self, moment: Moment, metrics: Mapping[str, float]) -> str | None:
        """Whether one is not finite."""
        broken = [
            f"{name} is {value} at step {moment.step}"
            for name, value in metrics.items()
            if (name in self.metrics or not self.metrics) and not math.isfinite(value)
        ]
        return ", ".join(broken) or None
