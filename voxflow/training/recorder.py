"""Hands what happens in a session to loggers."""

from __future__ import annotations

import logging
import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from voxflow.torch.calls import arguments
from voxflow.torch.draws import drawing_from
from voxflow.torch.modes import evaluating
from voxflow.torch.tensors import to_tensor
from voxflow.training.loggers import CsvLogger, Loggers, TensorBoardLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from voxflow.training.loggers import ScalarLogger
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session
    from voxflow.training.when import Every

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)


class Recorder:
    """Hands numbers, pictures and histograms of a training to loggers: a hook of a session.

    Numbers are all that is recorded in the session's log, by whomever. A logger that fails is told,
    here and in the log of the run, and left out from then on. Where a run goes on, tables and
    TensorBoard drop what they have of later steps.

    Parameters
    ----------
    tensorboard
        Whether files for TensorBoard are written.
    csv
        Whether a table is written, ``history.csv`` in the run directory.
    histograms
        When TensorBoard gets histograms of all weights; None: never.
    graph
        Whether TensorBoard gets the graph of the network, at the first step.
    more
        Loggers besides.
    tensorboard_folder
        Where those for TensorBoard go; None: ``tensorboard`` in the run directory.

    Examples
    --------
    >>> recorder = Recorder(tensorboard=False, csv=False)
    """

    def __init__(
        self,
        *,
        tensorboard: bool = True,
        csv: bool = True,
        histograms: Every | None = None,
        graph: bool = False,
        more: Iterable[ScalarLogger] = (),
        tensorboard_folder: str | Path | None = None,
    ) -> None:
        self.tensorboard = tensorboard
        self.csv = csv
        self.histograms = histograms
        self.graph = graph
        self.more = list(more)
        self.tensorboard_folder = tensorboard_folder
        self._loggers = Loggers()
        self._heard: deque[tuple[int, dict[str, float]]] = deque()
        self._open = False
        self._drawn = False

    def begin(self, session: Session) -> None:
        """Open what is written."""
        made: list[ScalarLogger] = list(self.more)
        for name, make in self._makers(session).items():
            one = session.hooks.guarded(self, f"open {name}", make)
            made += [] if one is None else [one]
        self._loggers, self._open = Loggers(made), True

    def _makers(self, session: Session) -> dict[str, Callable[[], ScalarLogger]]:
        if session.run_dir is None:
            return {}
        makers: dict[str, Callable[[], ScalarLogger]] = {}
        if self.tensorboard:
            folder = self.tensorboard_folder or session.run_dir / "tensorboard"
            makers["TensorBoard"] = partial(TensorBoardLogger, folder, session.step)
        if self.csv:
            table = session.run_dir / "history.csv"
            makers["the table"] = partial(CsvLogger, table, step=session.step)
        return makers

    def after_step(self, session: Session, step: StepResult) -> None:
        """Hand on the numbers of a step, and what else is due."""
        if step.number == 1:
            # What hooks before this one measured before the first step.
            early = {n: v for n, v in session.metrics.items() if n not in step.metrics}
            self._heard.appendleft((0, early))
        self._heard.append((step.number, learning_rate(session)))
        self._hand_on()
        if self.graph and not self._drawn:
            self._drawn = True
            self._log_graph(session, step)
        if self.histograms is not None and self.histograms.due(session.moment):
            weights = session.model.named_parameters()
            values = {f"weights.{n}": p.detach().float().cpu().numpy() for n, p in weights}
            self._loggers.log_histograms(step.number, values)
        self._tell(session)

    def recorded(self, session: Session, values: Mapping[str, Any]) -> None:
        """Keep numbers for the next time. From any thread."""
        plain = {n: v.tolist() if hasattr(v, "tolist") else v for n, v in values.items()}
        numbers = {n: float(v) for n, v in plain.items() if type(v) in (int, float)}
        if numbers and self._open:
            self._heard.append((session.step, numbers))

    def _hand_on(self) -> None:
        rows: dict[int, dict[str, float]] = {}
        while self._heard:
            number, values = self._heard.popleft()
            rows.setdefault(number, {}).update(values)
        for number, row in sorted(rows.items()):
            if row:
                self._loggers.log_scalars(number, row)

    def log_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Hand on pictures: pixels of the shape (height, width, 3) by name. From any thread."""
        self._loggers.log_images(step, images)

    def end(self, session: Session) -> None:
        """Close all."""
        self._open = False
        self._hand_on()
        self._loggers.close()
        self._tell(session)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"histograms": None if self.histograms is None else self.histograms.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        if self.histograms is not None and state["histograms"] is not None:
            self.histograms.load_state_dict(state["histograms"])

    def _log_graph(self, session: Session, step: StepResult) -> None:
        batch, forward = step.batch, session._forward
        if batch is None:
            return
        tensors = {n: to_tensor(batch[key], session.device) for n, key in forward.inputs.items()}
        positional, named = arguments(tensors)
        if named:
            raise ValueError(f"the graph of a network is drawn from positions, not from {[*named]}")
        with torch.no_grad(), evaluating(session.model), drawing_from(0, session.device):
            self._loggers.log_graph(session.model, positional)

    def _tell(self, session: Session) -> None:
        failed, self._loggers.failed = self._loggers.failed, []
        for why in failed:
            session.record({"failure": {"hook": "Recorder", "error": why}})


def learning_rate(session: Session) -> dict[str, float]:
    """The learning rate of the first group, by the name "lr", if there is one."""
    rate = session.optimizer.param_groups[0].get("lr")
    return {} if rate is None or not math.isfinite(rate) else {"lr": float(rate)}
