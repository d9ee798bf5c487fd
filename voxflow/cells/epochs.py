"""A table with a row for each epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.training.loggers import CsvLogger
from voxflow.training.recorder import learning_rate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["EpochTable"]


class EpochTable:
    """Writes a table of epochs: step, epoch, loss, val_loss, and what is measured: a hook.

    The loss is the mean over the epoch. A run that goes on drops the rows of later steps, and goes
    on with the table.

    Parameters
    ----------
    file
        The table.
    steps
        How many steps are an epoch.
    """

    def __init__(self, file: Path, steps: int) -> None:
        self.file, self.steps = file, steps
        self._losses: list[float] = []
        self._table: CsvLogger | None = None

    def begin(self, session: Session) -> None:
        """Open the table."""
        self._table = CsvLogger(self.file, step=session.step)

    def after_step(self, session: Session, step: StepResult) -> None:
        """Write the row of an epoch that is done."""
        self._losses.append(float(step.loss))
        if step.number % self.steps or self._table is None:
            return
        row = {"epoch": step.number // self.steps, "loss": sum(self._losses) / len(self._losses)}
        for name, value in step.metrics.items():
            of, _, measure = name.partition(".")
            if of == "validation":
                row["val_loss" if measure == "loss" else measure] = value
        self._table.log_scalars(step.number, {**row, **learning_rate(session)})
        self._losses = []

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"losses": self._losses}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on within an epoch."""
        self._losses = list(state["losses"])
