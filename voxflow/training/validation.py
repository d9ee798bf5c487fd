"""How a model does on data that it is not trained on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from voxflow.pipeline.data import RunPosition
from voxflow.pipeline.engine import Pipeline, build
from voxflow.torch.calls import arguments
from voxflow.torch.draws import drawing_from
from voxflow.torch.modes import evaluating
from voxflow.training.metrics import Mean, metric
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voxflow.pipeline.data import BatchRequest
    from voxflow.torch.averages import Averages
    from voxflow.torch.calls import Name
    from voxflow.torch.forward import Forward


class Validation:
    """Evaluates a model on batches of a pipeline of its own, the same ones each time.

    The model is in evaluation mode. Nothing of the training changes.

    Parameters
    ----------
    pipeline
        Makes the batches: from held-out data, as a rule without augmentations.
    request
        What is asked of it.
    batches
        How many batches are evaluated.
    every
        When: after so many steps, and before the first one; or a trigger.
    metrics
        Names (`voxflow.training.metrics.NAMES`), or functions of what the loss is given that return
        a number, of which the mean over the batches is taken. A mapping gives names to them. The
        loss is always there.
    seed
        The seed of the batches.
    averaged
        Whether the averaged weights are evaluated (`StepOptions.average`).

    Raises
    ------
    ValueError
        If a number or a metric is wrong.
    """

    def __init__(
        self,
        pipeline: Any,
        request: BatchRequest,
        *,
        batches: int = 10,
        every: int | Every = 1000,
        metrics: Sequence[str | Callable[..., Any]] | Mapping[str, Any] = (),
        seed: int = 0,
        averaged: bool = False,
    ) -> None:
        if batches < 1:
            raise ValueError(f"the number of batches has to be at least 1, got {batches}")
        self.pipeline = pipeline if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
        self.request = request
        self.batches = batches
        self.every = Every(steps=every, at_start=True) if isinstance(every, int) else every
        self.metrics = _named(metrics)
        self.seed = seed
        self.averaged = averaged

    def opened(self) -> AbstractContextManager[Any]:
        """The time in which it can be evaluated: its pipeline is set up."""
        return build(self.pipeline, seed=self.seed)

    def evaluate(
        self,
        forward: Forward,
        model: torch.nn.Module,
        loss: Any,
        averages: Averages | None = None,
        seen: Callable[[Mapping[Name, torch.Tensor]], None] | None = None,
    ) -> dict[str, float]:
        """Evaluate a model, while it is `opened`.

        Parameters
        ----------
        forward, model, loss, averages
            Of the training.
        seen
            Is told, for each batch, what the loss was given.

        Returns
        -------
        dict[str, float]
            By name: ``"loss"``, and the metrics.

        Raises
        ------
        ValueError
            If averaged weights are to be evaluated and there are none.
        """
        found = {name: metric(what) for name, what in self.metrics.items()}
        losses = Mean(float)
        with torch.no_grad(), self._weights(averages), evaluating(model):
            for index in range(self.batches):
                position = RunPosition(self.seed, index)
                batch = self.pipeline.request_batch(self.request.at(position))
                with drawing_from(position.request_seed, forward.device):
                    passed = forward(model, loss, batch)
                positional, named = arguments(passed.loss_inputs)
                losses.add(passed.loss)
                if seen is not None:
                    seen(passed.loss_inputs)
                for one in found.values():
                    one.add(*positional, **named)
        return {"loss": losses.result(), **{name: one.result() for name, one in found.items()}}

    def _weights(self, averages: Averages | None) -> AbstractContextManager[None]:
        if not self.averaged:
            return nullcontext()
        if averages is None:
            raise ValueError(
                "averaged weights are to be evaluated, and there are none: give the session "
                "StepOptions(average=...)"
            )
        return averages.used()


def _named(metrics: Any) -> dict[str, str | Callable[..., Any]]:
    if not hasattr(metrics, "items"):
        metrics = {m if isinstance(m, str) else getattr(m, "__name__", repr(m)): m for m in metrics}
    for name, what in metrics.items():
        if name == "loss":
            raise ValueError("a metric cannot have the name 'loss', which the loss has")
        metric(what)
    return dict(metrics)
