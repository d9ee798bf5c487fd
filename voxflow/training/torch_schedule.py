"""Learning rates by a scheduler of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxflow.training.scheduled import Result

__all__ = ["TorchSchedule"]


class TorchSchedule:
    """Moves a scheduler of torch on after each step: a hook of a session.

    Its steps are those of the training, not epochs. Most schedulers go on from a learning rate that
    was set by hand meanwhile; those that compute it from the first one (`LambdaLR`) do not.

    Parameters
    ----------
    scheduler
        Of the optimizer that is trained with.
    metric
        For `ReduceLROnPlateau` the name of what is measured. Steps at which it is not measured do
        not count.

    Raises
    ------
    ValueError
        If `ReduceLROnPlateau` has no metric, or another scheduler has one.
    """

    def __init__(self, scheduler: LRScheduler, metric: str | None = None) -> None:
        needs = isinstance(scheduler, ReduceLROnPlateau)
        if needs and metric is None:
            raise ValueError("ReduceLROnPlateau needs metric=, the name of what is measured")
        if metric is not None and not needs:
            raise ValueError(
                f"{type(scheduler).__name__} does not look at a metric; leave metric= out"
            )
        self.scheduler: Any = scheduler
        self.metric = metric

    def after_step(self, session: object, step: Result) -> None:
        """Set the learning rate of the next step."""
        if self.metric is None:
            self.scheduler.step()
        elif self.metric in step.metrics:
            self.scheduler.step(step.metrics[self.metric])

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from. The optimizer's state has the learning rate itself."""
        state: dict[str, Any] = self.scheduler.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.scheduler.load_state_dict(dict(state))
