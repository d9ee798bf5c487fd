"""How a model does on further data, such as those it is trained on without their augmentation."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.training.result import StepResult
    from voxflow.training.session import Session
    from voxflow.training.validation import Validation

__all__ = ["Monitor"]


class Monitor:
    """Evaluates the model on further data, and logs what it finds: a hook of a session.

    Stop rules and checkpoints do not see it; they go by the session's own `Validation`.

    Parameters
    ----------
    evaluation
        The data, the metrics, and when: as for a validation. On a pipeline without augmentation it
        shows, beside the validation, how far the model has learned its training data by heart.
    name
        Its metrics are known as ``"<name>.<metric>"``.

    Raises
    ------
    ValueError
        If it has the name of the validation, or none.
    """

    def __init__(self, evaluation: Validation, name: str = "training") -> None:
        if name in ("", "validation"):
            raise ValueError(f"a monitor needs a name of its own, got {name!r}")
        self.evaluation = evaluation
        self.name = name
        self._stack = ExitStack()

    def begin(self, session: Session) -> None:
        """Set the pipeline up, and evaluate before the first step."""
        self._stack.enter_context(self.evaluation.opened())
        if session.step == 0:
            self._evaluated(session)

    def after_step(self, session: Session, step: StepResult) -> None:
        """Evaluate, if it is due."""
        self._evaluated(session)

    def end(self, session: Session) -> None:
        """Tear the pipeline down."""
        self._stack.close()

    def _evaluated(self, session: Session) -> None:
        if not self.evaluation.every.due(session.moment):
            return
        found = session.evaluate(self.evaluation)
        values = {f"{self.name}.{metric}": value for metric, value in found.items()}
        session.record(values)
        session.metrics = {**session.metrics, **values}

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return self.evaluation.every.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.evaluation.every.load_state_dict(state)
