"""A line that says how a training goes."""

from __future__ import annotations

import logging
import math
import sys
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from voxflow.training.loss_change import loss_change
from voxflow.training.recorder import learning_rate
from voxflow.training.stopping import MaxActiveHours, MaxSteps, MaxWallHours
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["Status"]

logger = logging.getLogger(__name__)

_REFRESH = 0.2  # seconds


class Status:
    """Says how a training goes: a hook of a session.

    On a terminal there is one line that changes; otherwise, such as in the file of a queue, a line
    is printed each time it is due. The rates go into the log of the run then, as "lr",
    "iterations_per_second" and "voxels_per_second".

    The loss is the mean of the steps since it was due. Rates are by active time. A voxel is one of
    the first output, channels not counted. "change" is by how much the last step that was due
    changed the loss of its own batch: the loss after it minus that before, with the same draws of
    torch. The log has it as "loss_change".

    Parameters
    ----------
    every
        When it is due: a number of steps, or a trigger.
    stream
        Where to; None: standard error.
    live
        Whether it is one line that changes; None: if it is a terminal.
    quiet
        Nothing is printed, only logged.
    change
        Whether the change of the loss is told. It takes a pass more through the model each time
        that it is due. It is not known, and left out, where a step has several batches or several
        processes.

    Examples
    --------
    >>> status = Status(100)
    """

    def __init__(
        self,
        every: int | Every = 100,
        *,
        stream: TextIO | None = None,
        live: bool | None = None,
        quiet: bool = False,
        change: bool = False,
    ) -> None:
        self.every = Every(steps=every) if isinstance(every, int) else every
        self.stream = stream
        self.live = live
        self.quiet = quiet
        self.change = change
        self._changed: dict[str, float] = {}
        self._line: Any = None
        self._shown = -math.inf
        self._begun = (0, 0.0)
        self._voxels = 0
        self._losses: list[float] = []
        self._validated: dict[str, float] = {}

    def begin(self, session: Session) -> None:
        """Begin to count."""
        self._count_anew(session)
        self._validated, self._changed = {}, {}
        stream = sys.stderr if self.stream is None else self.stream
        live = stream.isatty() if self.live is None else self.live
        if live and not self.quiet:
            self._line = tqdm(bar_format="{desc}", file=stream, dynamic_ncols=True)

    def after_step(self, session: Session, step: StepResult) -> None:
        """Say it, if it is due."""
        self._voxels += step.voxels
        self._losses.append(step.loss)
        found = {n: v for n, v in step.metrics.items() if n.startswith("validation.")}
        self._validated.update(found)
        due = self.every.due(session.moment) is not None
        now = session.clock.wall_seconds
        if not due and (self._line is None or now - self._shown < _REFRESH):
            return
        self._shown = now
        rates = self._rates(session)
        if due and self.change:
            self._changed = _change(session, step)
        text = self._text(session, rates)
        if self._line is not None:
            self._line.set_description_str(text)
        if due:
            logger.debug("%s", text)
            session.record({**learning_rate(session), **rates, **self._changed})
            if self._line is None and not self.quiet:
                print(text, file=sys.stderr if self.stream is None else self.stream, flush=True)
            self._count_anew(session)

    def end(self, session: Session) -> None:
        """Leave the line as it is."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return self.every.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.every.load_state_dict(state)

    def _count_anew(self, session: Session) -> None:
        self._begun = (session.step, session.clock.active_seconds)
        self._voxels = 0
        self._losses = []

    def _rates(self, session: Session) -> dict[str, float]:
        step, active = self._begun
        seconds = session.clock.active_seconds - active
        if seconds <= 0:
            return {}
        return {
            "iterations_per_second": (session.step - step) / seconds,
            "voxels_per_second": self._voxels / seconds,
        }

    def _text(self, session: Session, rates: Mapping[str, float]) -> str:
        total = min((r.steps for r in session.stop_rules if isinstance(r, MaxSteps)), default=None)
        parts = [f"step {session.step}" + ("" if total is None else f"/{total}")]
        finite = [loss for loss in self._losses if math.isfinite(loss)]
        parts.append(f"loss {sum(finite) / len(finite):.4g}" if finite else "loss nan")
        parts += [f"change {value:+.2g}" for value in self._changed.values()]
        parts += [f"{name} {value:.4g}" for name, value in self._validated.items()]
        parts += [f"lr {rate:.3g}" for rate in learning_rate(session).values()]
        rate = rates.get("iterations_per_second", 0.0)
        if rates:
            voxels = rates["voxels_per_second"] / 1e6
            parts += [f"{rate:.3g} it/s", f"{voxels:.3g} MVx/s"]
        parts.append(_time(session.clock.active_seconds))
        left = _seconds_left(session, rate)
        if left is not None:
            parts.append(f"{_time(left)} left")
        return "  ".join(parts)


def _change(session: Session, step: StepResult) -> dict[str, float]:
    with session.paused():
        found = loss_change(session, step)
    return {} if found is None else {"loss_change": found}


def _seconds_left(session: Session, rate: float) -> float | None:
    """How long it takes until the first of the rules that can be foreseen."""
    moment, found = session.moment, []
    for rule in session.stop_rules:
        if isinstance(rule, MaxSteps) and rate > 0:
            found.append((rule.steps - moment.step) / rate)
        elif isinstance(rule, MaxActiveHours):
            found.append(rule.hours * 3600 - moment.active_seconds)
        elif isinstance(rule, MaxWallHours):
            found.append(rule.hours * 3600 - moment.wall_seconds)
    return max(0.0, min(found)) if found else None


def _time(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _time(3723.4), _time(59)
    ('1:02:03', '0:59')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
