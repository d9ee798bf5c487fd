"""How a training step is made, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from voxflow.torch.nonfinite import Action, NonFiniteLoss, check_action

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.torch.forward import Passed

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""What is computed with at mixed precision."""


@dataclass(frozen=True)
class StepOptions:
    """How a step is made.

    Attributes
    ----------
    accumulate
        How many batches go into a step; the loss is their mean.
    clip_norm, clip_value
        What the norm of all gradients, and the size of each, is limited to.
    precision
        "bfloat16" or "float16" for mixed precision, where torch's autocast knows an operation to
        be safe; None: as the model is. With "float16" the loss is scaled, so that small gradients
        are not lost.
    compile
        Whether the model is compiled; or the arguments of ``torch.compile``.
    average
        The decay of an exponential moving average of the weights (`Averages`); None: none.
    nonfinite
        What is done about a loss that is infinite or not a number: "stop" raises `NonFiniteLoss`;
        "skip" leaves the step out; "rollback" leaves it out and puts model and optimizer back to
        the last state that was kept. Or a function that is called with the error and returns one
        of these. "console", of a session: the step is left out, and the console opens; "stop" where
        nobody is at a terminal.
    keep_every
        After how many steps a state is kept for "rollback".

    Raises
    ------
    ValueError
        If a value is out of range.
    """

    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    precision: Literal["bfloat16", "float16"] | None = None
    compile: bool | dict[str, Any] = False
    average: float | None = None
    nonfinite: Action | Literal["console"] | Callable[[NonFiniteLoss], Action] = "stop"
    keep_every: int = 100

    def __post_init__(self) -> None:
        if self.accumulate < 1 or self.keep_every < 1:
            raise ValueError(
                "accumulate and keep_every have to be at least 1, got "
                f"{self.accumulate}, {self.keep_every}"
            )
        for name in ("clip_norm", "clip_value"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} has to be above 0, got {limit}")
        if self.precision not in (None, *DTYPES):
            raise ValueError(f"precision is 'bfloat16', 'float16' or None, got {self.precision!r}")
        if not callable(self.nonfinite) and self.nonfinite != "console":
            check_action(self.nonfinite)


@dataclass(frozen=True)
class Stepped:
    """What a step did.

    Attributes
    ----------
    loss
        The mean over the batches, and over the processes; not finite if the step was left out.
    last
        The pass of the last batch; None if the step was left out.
    action
        What was done about a loss that was not finite; None: it was finite.
    error
        What says so; None: it was finite.
    metrics
        What else is known: ``gradient_norm`` if gradients are clipped by it, ``evaluations`` of
        the loss if the optimizer asks for several.
    """

    loss: float
    last: Passed | None = None
    action: Action | None = None
    error: NonFiniteLoss | None = None
    metrics: dict[str, float] = field(default_factory=dict)
