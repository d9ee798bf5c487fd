"""When something is due: every so many steps, hours or epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Every", "Moment"]


class Moment(NamedTuple):
    """Where a training is.

    Attributes
    ----------
    step
        How many steps are done.
    active_seconds
        Seconds of training: without the console, previews and other pauses.
    epoch
        How many epochs are done.
    wall_seconds
        Seconds since this process began to train, pauses included.
    """

    step: int
    active_seconds: float = 0.0
    epoch: int = 0
    wall_seconds: float = 0.0


class Every:
    """A trigger: due every so many steps, hours of active time, or epochs, whichever comes first.

    Steps are counted from 0, so that a run that is resumed, or whose interval is changed, keeps to
    multiples. Hours and epochs lie on a grid as well: one that is asked late does not put off the
    next. Where several hours have passed since it was asked, it is due once.

    Parameters
    ----------
    steps, hours, epochs
        The intervals. They can be changed at any time, which acts at once.
    first_hours
        When it is due for the first time by hours; None: after `hours`.
    at_start
        Whether it is due at step 0 as well, once.
    at_end
        Whether it is due at the last step as well, once: of previews and validations.

    Raises
    ------
    TypeError, ValueError
        If there is no interval, or one is not above 0.

    Examples
    --------
    >>> every = Every(steps=1000, hours=2)
    >>> every.due(Moment(999, active_seconds=3600.0))
    >>> every.due(Moment(1000, active_seconds=3600.0))
    'step-1000'
    >>> every.due(Moment(1999, active_seconds=7203.0))
    'hours-2'
    """

    def __init__(
        self,
        *,
        steps: int | None = None,
        hours: float | None = None,
        epochs: int | None = None,
        first_hours: float | None = None,
        at_start: bool = False,
        at_end: bool = False,
    ) -> None:
        if steps is None and hours is None and epochs is None and not (at_start or at_end):
            raise ValueError("say when: Every(steps=...), Every(hours=...) or Every(epochs=...)")
        if first_hours is not None and hours is None:
            raise ValueError("first_hours= needs hours=, the interval that follows it")
        self.steps = steps
        self.hours = hours
        self.epochs = epochs
        self.first_hours = first_hours
        self.at_start = at_start
        self.at_end = at_end
        self._hours_done: float | None = None
        self._epochs_done = 0
        self._step_done = -1

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not None and name in ("steps", "epochs"):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} has to be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} has to be at least 1, got {value}")
        if value is not None and name in ("hours", "first_hours") and not value > 0:
            raise ValueError(f"{name} has to be above 0, got {value}")
        super().__setattr__(name, value)

    def due(self, moment: Moment, *, last: bool = False) -> str | None:
        """Whether it is due now; asked after every step, and once before the first.

        Parameters
        ----------
        moment
            Where the training is.
        last
            Whether no step follows.

        Returns
        -------
        str | None
            What made it due, as part of a file's name: ``"step-2000"``, ``"hours-1.5"`` (the time
            on the grid, not the one at which it was asked), ``"epoch-3"``, ``"start"``, ``"end"``;
            None: it is not due, or was at this step already.
        """
        hours, epochs = self._by_hours(moment), self._by_epochs(moment)
        by_steps = self.steps is not None and moment.step > 0 and moment.step % self.steps == 0
        reasons = [
            f"step-{moment.step}" if by_steps else None,
            hours,
            epochs,
            "start" if self.at_start and moment.step == 0 else None,
            "end" if self.at_end and last else None,
        ]
        reason = next((r for r in reasons if r is not None), None)
        if reason is None or moment.step == self._step_done:
            return None
        self._step_done = moment.step
        return reason

    def _by_hours(self, moment: Moment) -> str | None:
        if self.hours is None:
            return None
        first = self.hours if self.first_hours is None else self.first_hours
        following = first if self._hours_done is None else self._hours_done + self.hours
        late = moment.active_seconds / 3600 - following
        if late < 0:
            return None
        # Rounded, so that 0.1 h added up ten times is 1 h.
        self._hours_done = round(following + late // self.hours * self.hours, 9)
        return f"hours-{self._hours_done:.9g}"

    def _by_epochs(self, moment: Moment) -> str | None:
        if self.epochs is None or moment.epoch < self._epochs_done + self.epochs:
            return None
        self._epochs_done = moment.epoch - moment.epoch % self.epochs
        return f"epoch-{moment.epoch}"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from. The intervals are not part of it."""
        return {
            "hours_done": self._hours_done,
            "epochs_done": self._epochs_done,
            "step_done": self._step_done,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where an earlier part of the run was."""
        self._hours_done = state["hours_done"]
        self._epochs_done = state["epochs_done"]
        self._step_done = state["step_done"]
