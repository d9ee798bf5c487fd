"""What is done about a loss that is infinite or not a number."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Literal, get_args

from voxflow.pipeline.engine import PipelineRequestError

if TYPE_CHECKING:
    import torch

Action = Literal["stop", "skip", "rollback"]
"""What is done about a loss that is not finite."""


class NonFiniteLoss(PipelineRequestError, FloatingPointError):
    """The loss is infinite or not a number. The model was not changed by the batch.

    Attributes
    ----------
    batch
        What went into the model and the loss.
    token
        What it takes to make the batch again, with this pipeline or with one without `Train`.
    """


def check_finite(
    loss: float, model: torch.nn.Module, batch: Any, number: int, who: str, remedy: str
) -> None:
    """Raise if a loss is not finite, and say if the model was broken before.

    Raises
    ------
    NonFiniteLoss
        With the batch.
    """
    if math.isfinite(loss):
        return
    broken = [n for n, p in model.named_parameters() if not bool(p.isfinite().all())]
    before = (
        f"; it was broken before: {broken[0]} holds values that are not finite, as after a "
        "gradient that was not"
        if broken
        else ""
    )
    error = NonFiniteLoss(
        f"{who}: the loss is {loss} at iteration {number}; the model was left as it was{before}. "
        f"{remedy}"
    )
    error.batch = batch
    raise error


def check_action(action: Any) -> Action:
    """A known action.

    Raises
    ------
    ValueError
        If it is none.
    """
    if action not in get_args(Action):
        raise ValueError(
            f"nonfinite is 'stop', 'skip', 'rollback', or a function that returns one of them; "
            f"got {action!r}"
        )
    known: Action = action
    return known


class KeptState:
    """A state of a training to go back to.

    Parameters
    ----------
    parts
        What is kept, by name: anything with ``state_dict`` and ``load_state_dict``.

    Examples
    --------
    >>> import math, torch
    >>> model = torch.nn.Linear(1, 1)
    >>> kept = KeptState(model=model)
    >>> kept.keep()
    >>> _ = torch.nn.init.constant_(model.weight, math.nan)
    >>> kept.keep()  # is not sound, and not kept
    >>> kept.put_back()
    >>> bool(model.weight.isfinite())
    True
    """

    def __init__(self, model: torch.nn.Module, **parts: Any) -> None:
        self._model = model
        self._parts = {"model": model, **parts}
        self._state: dict[str, Any] | None = None

    def keep(self) -> None:
        """Keep the state as it is, if the weights are finite."""
        if all(bool(p.isfinite().all()) for p in self._model.parameters()):
            state = {name: part.state_dict() for name, part in self._parts.items()}
            self._state = copy.deepcopy(state)

    def put_back(self) -> None:
        """Go back to the state that was kept last.

        Raises
        ------
        RuntimeError
            If none was.
        """
        if self._state is None:
            raise RuntimeError(
                "there is no state to go back to: the weights were not finite from the start"
            )
        state = copy.deepcopy(self._state)
        for name, part in self._parts.items():
            part.load_state_dict(state[name])

    def state_dict(self) -> dict[str, Any] | None:
        """What is kept."""
        return self._state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep what was saved."""
        self._state = state
