"""A batch through a model and into a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from voxflow.torch.calls import (
    Name,
    Outputs,
    arguments,
    capturing,
    checked_arguments,
    checked_names,
)
from voxflow.torch.tensors import to_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voxflow.pipeline.data import ArrayKey, Batch


class Passed(NamedTuple):
    """What came out of a pass.

    Attributes
    ----------
    outputs
        What the model made.
    loss_inputs
        What the loss was given, by position or name.
    loss
        One number, a tensor without axes, with its history.
    """

    outputs: Outputs
    loss_inputs: dict[Name, torch.Tensor]
    loss: torch.Tensor


class Forward:
    """Passes batches through a model and into a loss.

    Parameters
    ----------
    inputs
        Arrays that go into the model, by the position or name of the argument.
    outputs
        Arrays that come out of the model, by the index in what ``forward`` returns or by the name
        of a submodule.
    loss_inputs
        Arrays that go into the loss, by position or name; outputs among them.
    device
        Where to compute.
    who
        Says who asks, for messages.

    Raises
    ------
    TypeError, ValueError
        If names or keys are wrong.
    """

    def __init__(
        self,
        inputs: Mapping[Name, ArrayKey],
        outputs: Mapping[Name, ArrayKey],
        loss_inputs: Mapping[Name, ArrayKey],
        device: torch.device,
        who: Callable[[], str],
    ) -> None:
        self.inputs = checked_arguments("inputs", inputs)
        self.outputs = checked_names("outputs", outputs)
        self.loss_inputs = checked_arguments("loss_inputs", loss_inputs)
        self.device = device
        self.who = who
        self._made = {key: name for name, key in self.outputs.items()}
        wanted = [*self.inputs.values(), *self.loss_inputs.values()]
        self._needed = [key for key in dict.fromkeys(wanted) if key not in self._made]

    def needed(self) -> list[ArrayKey]:
        """What has to be in a batch."""
        return list(self._needed)

    def __call__(
        self,
        model: torch.nn.Module,
        loss: Any,
        batch: Batch,
        *,
        run: Callable[..., Any] | None = None,
        seen: Iterable[Name] = (),
    ) -> Passed:
        """Compute the loss of a batch.

        Parameters
        ----------
        model
            The model.
        loss
            Returns one number.
        batch
            Holds all that is `needed`.
        run
            What is called in the model's place: the model, compiled or wrapped.
        seen
            Outputs whose gradient is to be kept, or names of submodules.

        Raises
        ------
        TypeError, ValueError, IndexError
            If model or loss return something else.
        """
        kept = list(seen)
        names = [*self.outputs, *kept]
        # What the loss needs goes along, while a device is busy with the model or before it is.
        tensors = {key: to_tensor(batch[key], self.device) for key in self._needed}
        with capturing(self.who(), model, names, run) as call:
            positional, named = arguments({n: tensors[key] for n, key in self.inputs.items()})
            outputs = call(*positional, **named)
            for name in kept:
                self._keep_gradient(name, outputs)
            values = {
                name: tensors[key] if key in tensors else outputs[self._made[key]]
                for name, key in self.loss_inputs.items()
            }
            return Passed(outputs, values, self._checked(loss, values))

    def _checked(self, loss: Any, values: dict[Name, torch.Tensor]) -> torch.Tensor:
        positional, named = arguments(values)
        value = loss(*positional, **named)
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            what = f"the shape {tuple(value.shape)}" if hasattr(value, "shape") else repr(value)
            raise ValueError(
                f"{self.who()}: the loss has to be a tensor with one number, got {what}"
            )
        return value if value.dim() == 0 else value.reshape(())

    def _keep_gradient(self, name: Name, outputs: Outputs) -> None:
        tensor = outputs[name]
        if not tensor.requires_grad:
            raise ValueError(
                f"{self.who()}: there is no gradient of {name!r}, which does not depend on any "
                "parameter that is trained"
            )
        tensor.retain_grad()

    def gradient(self, name: Name, outputs: Outputs) -> torch.Tensor:
        """The gradient with respect to an output that was `seen`, after the backward pass.

        Raises
        ------
        ValueError
            If there is none.
        """
        gradient = outputs[name].grad
        if gradient is None:
            raise ValueError(
                f"{self.who()}: there is no gradient of {name!r}, because the loss does not "
                "depend on it"
            )
        # A parameter's is used again in the next step.
        return gradient.clone() if outputs[name].is_leaf else gradient
