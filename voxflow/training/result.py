"""What a step of a session came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxflow.pipeline.data import Batch
    from voxflow.pipeline.data.profiling import Read


@dataclass(frozen=True)
class StepResult:
    """A step of a session, as hooks see it.

    Attributes
    ----------
    number
        Which step it was; 1 is the first.
    loss
        The loss; not a number if the step was left out.
    metrics
        What else is known, by name; of a validation, if there was one, too.
    seconds
        How long the step took, with its batches, without hooks and validation.
    voxels
        How many voxels the first output of the model had, of all batches of the step in this
        process, channels not counted.
    batch
        The last batch.
    reads
        What sources were asked for, for all batches of the step in this process.
    """

    number: int
    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    voxels: int = 0
    batch: Batch | None = None
    reads: tuple[Read, ...] = ()


@dataclass(frozen=True)
class RunReport:
    """How a run ended.

    Attributes
    ----------
    step
        How many steps were done, those before a resume included.
    reason
        Why it stopped.
    active_seconds
        How long all of them took, without pauses.
    """

    step: int
    reason: str
    active_seconds: float
