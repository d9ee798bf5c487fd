"""Batches of a training as files, with their loss, to be looked at and made again."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.nodes.sinks.snapshot_file import write_snapshot
from voxflow.torch.draws import drawing_from
from voxflow.torch.modes import evaluating
from voxflow.training.outputs import with_outputs
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.pipeline.data import Batch
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session

__all__ = ["Snapshots"]

logger = logging.getLogger(__name__)

_SEED = 0


class Snapshots:
    """Writes the batch of a step to a file, now and then: a hook of a session.

    The files are ``step-<number>.zarr``. Each holds the arrays and graphs of the step's last batch
    by their keys, and what the network makes of it after the step, in evaluation mode; and in the
    attributes of its root the `loss` of the step, the `iteration`, which is the step's number, and
    the `replay_token`, of which `voxflow.replay` makes the batch again. Writing is no time of the
    training. What fails is told, and the training goes on.

    Parameters
    ----------
    every
        When: a number of steps, or a trigger.
    folder
        Where the files go; None: ``snapshots`` in the run directory.

    Examples
    --------
    >>> snapshots = Snapshots(every=1000)
    """

    def __init__(self, every: int | Every = 1000, *, folder: str | Path | None = None) -> None:
        self.every = Every(steps=every) if isinstance(every, int) else every
        self.folder = None if folder is None else Path(folder).absolute()

    def after_step(self, session: Session, step: StepResult) -> None:
        """Write what is due."""
        folder = self.folder
        if folder is None and session.run_dir is not None:
            folder = session.run_dir / "snapshots"
        if self.every.due(session.moment) is None or step.batch is None or folder is None:
            return
        with session.paused():
            self._write(folder / f"step-{step.number}.zarr", session, step.batch, step)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return self.every.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.every.load_state_dict(state)

    def _write(self, path: Path, session: Session, batch: Batch, step: StepResult) -> None:
        with evaluating(session.model), drawing_from(_SEED, session.device):
            seen = with_outputs(session, batch)
        seen.loss = step.loss if math.isfinite(step.loss) else None
        seen.iteration = step.number
        names = {key: str(key) for key, _ in seen.items()}
        write_snapshot(path, seen, names, token=batch.token)
