"""A session is watched for a tuning: what its validations find, and whether it is worth it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["Watch"]


class Watch:
    """Reports each value of a metric, and ends the run if it is told to: a hook of a session.

    Parameters
    ----------
    metric
        The name of a value that the validation finds, such as ``"validation.loss"``.
    report
        Called with the number of steps that are done and the value; returns whether the run is to
        end, as others were better by then.
    grace
        Before so many steps, it does not end: what is good in the end may be slow to begin.

    Attributes
    ----------
    pruned
        Whether the run was ended for that.
    broken_off
        Why somebody else has asked the run to end, if so.
    error
        Why a value could not be reported, if so: the run ends, and is to be gone on with.
    """

    def __init__(self, metric: str, report: Callable[[int, float], bool], grace: int = 0) -> None:
        self.metric = metric
        self._report = report
        self.grace = grace
        self.pruned = False
        self.broken_off: str | None = None
        self.error: Exception | None = None

    def after_step(self, session: Session, step: StepResult) -> None:
        """Report the value, if there is one."""
        if self.metric not in step.metrics:
            return
        try:
            worse = self._report(step.number, step.metrics[self.metric])
        except Exception as error:
            # A session goes on without a hook that fails: the trial would lack the value.
            self.error = error
            # No checkpoint is after the step, so that whoever goes on with it finds it again.
            session.request_stop("a value could not be kept", save=False)
            return
        if worse and step.number >= self.grace:
            self.pruned = True
            session.request_stop("it was pruned", save=False)

    def end(self, session: Session) -> None:
        """See why the run ends."""
        if not self.pruned:
            self.broken_off = session.stop_reason
