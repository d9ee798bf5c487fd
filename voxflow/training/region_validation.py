"""How a model does on a region that is larger than a patch: predicted as a volume is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from voxflow.nodes.scanning.callback import ScanCallback
from voxflow.nodes.scanning.scan import Scan
from voxflow.pipeline.engine import build
from voxflow.torch.calls import arguments
from voxflow.torch.draws import drawing_from
from voxflow.torch.predict import Predict
from voxflow.torch.tensors import to_tensor
from voxflow.training.metrics import metric
from voxflow.training.validation import Validation
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from voxflow.pipeline.data import BatchRequest
    from voxflow.torch.averages import Averages
    from voxflow.torch.calls import Name
    from voxflow.torch.forward import Forward

__all__ = ["RegionValidation"]


class RegionValidation(Validation):
    """Evaluates a model on a fixed region, which `Predict` and `Scan` predict block by block.

    Loss and metrics see the region as a whole, as whoever uses the model will. The model is in
    evaluation mode. Nothing of the training changes.

    Parameters
    ----------
    pipeline
        Has what goes into the model, as the model takes it, and what the loss compares with.
        Without random draws.
    request
        The region: of each array that the loss is given, outputs of the model among them.
    block
        What is predicted at once: the reference of a `Scan`. None: all.
    context
        How much of the input the model needs around its output, on each side, in world units. None:
        the request has the inputs, with all that the model needs.
    every, metrics, seed, averaged
        As of a `Validation`.

    Raises
    ------
    ValueError
        If a metric is wrong.
    """

    def __init__(
        self,
        pipeline: Any,
        request: BatchRequest,
        *,
        block: BatchRequest | None = None,
        context: Iterable[Any] | None = None,
        every: int | Every = 1000,
        metrics: Sequence[str | Callable[..., Any]] | Mapping[str, Any] = (),
        seed: int = 0,
        averaged: bool = False,
    ) -> None:
        super().__init__(
            pipeline, request, every=every, metrics=metrics, seed=seed, averaged=averaged
        )
        self.block = block
        self.context = None if context is None else tuple(context)

    def opened(self) -> AbstractContextManager[Any]:
        """Nothing is open between evaluations."""
        return nullcontext()

    def evaluate(
        self,
        forward: Forward,
        model: torch.nn.Module,
        loss: Any,
        averages: Averages | None = None,
        seen: Callable[[Mapping[Name, torch.Tensor]], None] | None = None,
    ) -> dict[str, float]:
        """Predict the region, and evaluate it.

        Parameters
        ----------
        forward, model, loss, averages
            Of the training.
        seen
            Is told what the loss was given.

        Returns
        -------
        dict[str, float]
            By name: ``"loss"``, and the metrics.

        Raises
        ------
        ValueError
            If averaged weights are to be evaluated and there are none.
        """
        made = self.pipeline + Predict(
            model, forward.inputs, forward.outputs, device=forward.device, context=self.context
        )
        if self.block is not None:
            made += Scan(self.block, progress_callback=ScanCallback())
        drawing = drawing_from(self.seed, forward.device)
        # Predict puts the model into evaluation mode, and back.
        with self._weights(averages), drawing, torch.no_grad():
            with build(made, seed=self.seed):
                batch = made.request_batch(self.request)
            values = {
                n: to_tensor(batch[k], forward.device) for n, k in forward.loss_inputs.items()
            }
            if seen is not None:
                seen(values)
            positional, named = arguments(values)
            found = {"loss": float(loss(*positional, **named))}
            for name, what in self.metrics.items():
                one = metric(what)
                one.add(*positional, **named)
                found[name] = one.result()
        return found
