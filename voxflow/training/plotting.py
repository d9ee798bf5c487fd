"""Curves are drawn while a session trains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from voxflow.training.plots import Plotter
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["Plots"]


class Plots:
    """Draws the curves of a run into ``plots`` in its directory: a hook of a session.

    A process of low priority draws, see `Plotter`. At the end they are drawn once more.

    Parameters
    ----------
    every
        When: a number of steps, or a trigger.
    pause
        How many seconds have to be between the beginnings of two drawings.
    """

    def __init__(self, every: int | Every = 100, *, pause: float = 60.0) -> None:
        self.every = Every(steps=every) if isinstance(every, int) else every
        self.pause = pause
        self._plotter: Plotter | None = None
        self._drawn = -math.inf

    def begin(self, session: Session) -> None:
        """Nothing is drawn yet."""
        if session.run_dir is not None:
            self._plotter = Plotter(session.run_dir, session.run_dir / "plots")

    def after_step(self, session: Session, step: StepResult) -> None:
        """Begin to draw, if it is due."""
        now = session.clock.wall_seconds
        if self._plotter is None or not self.every.due(session.moment):
            return
        if now - self._drawn >= self.pause and self._plotter.draw():
            self._drawn = now

    def end(self, session: Session) -> None:
        """Draw all, and wait for it."""
        if self._plotter is not None:
            self._plotter.close()
            self._plotter = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return self.every.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.every.load_state_dict(state)
