"""Schedules at work: they set what they are bound to, before each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.training.schedules import Schedule

__all__ = ["Scheduled"]


class Settable(Protocol):
    """What has values under dotted names, such as ``"optimizer.lr"``: a session."""

    def get(self, path: str) -> Any:
        """The present value."""

    def set(self, path: str, value: Any) -> Any:
        """Change it."""


class Result(Protocol):
    """What a step came to."""

    @property
    def number(self) -> int:
        """1 for the first step."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What was measured at it, by name."""


class Scheduled:
    """Sets values by schedules: a hook of a session.

    A value that somebody else sets meanwhile, by whatever means, is where its schedule goes on
    from. Nothing is set at steps at which nothing changes.

    Parameters
    ----------
    schedules
        By what they set, such as ``{"optimizer.lr": Decay(0.95), "model.dropout": ...}``.

    Raises
    ------
    LookupError
        Before a training begins, if there is nothing of that name to be set.
    """

    def __init__(self, schedules: Mapping[str, Schedule]) -> None:
        self.schedules = dict(schedules)
        # By name: where the schedule began, since which step, and what it has set last.
        self._begun: dict[str, tuple[Any, int | None, Any]] = {}
        self._resumes = False
        self._session: Settable | None = None
        self._done = 0

    def check(self, session: Settable) -> None:
        """Whether there is all that is to be set."""
        for path in self.schedules:
            session.get(path)

    def begin(self, session: Settable, step: int | None = None) -> None:
        """Set what holds before the next step.

        Parameters
        ----------
        session
            Has the values.
        step
            How many steps were done, in a run that goes on. None: as many as the session says.
        """
        done = getattr(session, "step", 0) if step is None else step
        self._session, self._done = session, done
        for path, schedule in self.schedules.items():
            now = session.get(path)
            initial, since, last = self._begun.get(path, (now, None, now))
            if now != last and not self._resumes:
                initial, since = now, done  # it was set between two runs
            self._set(session, path, schedule.value(done, initial, since), initial, since)
        self._resumes = False

    def after_step(self, session: Settable, step: Result) -> None:
        """Set what holds for the next step."""
        self._done = step.number
        for path, schedule in self.schedules.items():
            observe = getattr(schedule, "observe", None)
            if observe is not None:
                observe(step.number, step.metrics)
            initial, since, last = self._begun[path]
            now = session.get(path)
            if now != last:
                # It was set for this step, so that what is due after the step still comes.
                initial, since = now, step.number - 1
            self._set(session, path, schedule.value(step.number, initial, since), initial, since)

    def _set(
        self, session: Settable, path: str, value: Any, initial: Any, since: int | None
    ) -> None:
        if value != session.get(path):
            session.set(path, value)
        # As it reads now, since some things round what they are set to.
        self._begun[path] = initial, since, session.get(path)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        states = {
            path: schedule.state_dict()
            for path, schedule in self.schedules.items()
            if hasattr(schedule, "state_dict")
        }
        return {
            "begun": {path: self._begin_of(path) for path in self._begun},
            "schedules": states,
        }

    def _begin_of(self, path: str) -> list[Any]:
        """Where a schedule goes on from, if the run goes on from here."""
        initial, since, last = self._begun[path]
        now = last if self._session is None else self._session.get(path)
        # What was set since the last step would otherwise be seen at the next one.
        return [initial, since] if now == last else [now, self._done]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run; `begin` sets the values.

        A schedule that the earlier part did not have begins from what is there.
        """
        self._begun = {
            path: (initial, since, initial)
            for path, (initial, since) in state["begun"].items()
            if path in self.schedules
        }
        self._resumes = True
        for path, kept in state["schedules"].items():
            schedule = self.schedules.get(path)
            if schedule is not None and hasattr(schedule, "load_state_dict"):
                schedule.load_state_dict(kept)
