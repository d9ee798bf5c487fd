"""A state that a model keeps from batch to batch, as long as an episode lasts."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed

__all__ = ["Recurrent"]


class Recurrent(torch.nn.Module):
    """A recurrent model whose state goes on with the next batch, and begins anew with each episode.

    Called with what the model takes and, last, with whether an episode begins, for each sample. In
    training mode the state is that after the batch before; it is in buffers, so that checkpoints
    have it, and what undoes a step puts it back. Gradients end at the border of a batch: what is to
    be learned over several positions has to be in one. Evaluation mode has a state of its own, from
    the initial one on each time that it is entered: whoever evaluates changes nothing.

    Batches have to come in the order of their episodes, as those of a run do. An optimizer that
    evaluates the loss several times in a step would take the state further each time.

    Parameters
    ----------
    model
        Called as ``model(*inputs, state)``; returns ``(*outputs, state)``. The state is a tensor,
        or a tuple of tensors if `initial` is one.
    initial
        The state of one sample where an episode begins.
    samples
        How many samples a batch of the training has.
    axis
        Which axis of the state is that of samples: 0 of `torch.nn.GRUCell`, 1 of `torch.nn.GRU`.

    Raises
    ------
    ValueError
        If `samples` is below 1. When it is called: if there are not as many samples, or the model
        returns a state of another shape.
    RuntimeError
        When it is called: if several processes train, which share the batches of an episode.

    Examples
    --------
    >>> class Sum(torch.nn.Module):
    ...     def forward(self, seen, state):
    ...         return state + seen, state + seen
    >>> model = Recurrent(Sum(), torch.zeros(()), samples=2)
    >>> model(torch.tensor([1, 2]), torch.tensor([True, True]))
    tensor([1., 2.])
    >>> model(torch.tensor([1, 2]), torch.tensor([False, True]))
    tensor([2., 2.])
    """

    def __init__(
        self,
        model: torch.nn.Module,
        initial: torch.Tensor | tuple[torch.Tensor, ...],
        samples: int = 1,
        *,
        axis: int = 0,
    ) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"a batch has at least one sample, got samples={samples}")
        self.model = model
        self.samples = samples
        self.axis = axis
        self._is_tuple = isinstance(initial, tuple)
        parts = initial if isinstance(initial, tuple) else (initial,)
        self._count = len(parts)
        for i, part in enumerate(parts):
            self.register_buffer(f"initial_{i}", part.detach().clone())
            self.register_buffer(f"state_{i}", self._many(part.detach(), samples).clone())
        self._evaluated: list[torch.Tensor] | None = None

    def train(self, mode: bool = True) -> Recurrent:
        """Set the mode; each evaluation begins with the initial state."""
        self._evaluated = None
        super().train(mode)
        return self

    def forward(self, *given: torch.Tensor) -> Any:
        """What the model makes of the inputs, with the state as it is.

        Parameters
        ----------
        given
            The inputs of the model, and last, shape (samples,) or () for one sample, whether an
            episode begins.

        Returns
        -------
        torch.Tensor or tuple of torch.Tensor
            The outputs of the model, without its state.
        """
        *inputs, begins = given
        begins = begins.reshape(-1).bool()
        state = self._begun(self._kept(len(begins)), begins)
        *outputs, after = self.model(*inputs, tuple(state) if self._is_tuple else state[0])
        self._keep(list(after) if self._is_tuple else [after], state)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _initial(self) -> list[torch.Tensor]:
        return [self.get_buffer(f"initial_{i}") for i in range(self._count)]

    def _many(self, part: torch.Tensor, samples: int) -> torch.Tensor:
        part = part.unsqueeze(self.axis)
        return part.expand(*(samples if n == self.axis else -1 for n in range(part.dim())))

    def _kept(self, samples: int) -> list[torch.Tensor]:
        """The state after the batch before."""
        if not self.training:
            kept = self._evaluated
            if kept is None or kept[0].shape[self.axis] != samples:
                return [self._many(part, samples) for part in self._initial()]
            return kept
        together = distributed.is_available() and distributed.is_initialized()
        if together and distributed.get_world_size() > 1:
            raise RuntimeError(
                "a recurrent model needs all batches of an episode, of which each of "
                f"{distributed.get_world_size()} processes has a part: train it in one process"
            )
        if samples != self.samples:
            raise ValueError(
                f"this batch has {samples} samples, and the state is that of {self.samples}: give "
                f"Recurrent(..., samples={samples}), and batches of one size"
            )
        return [self.get_buffer(f"state_{i}") for i in range(self._count)]

    def _begun(self, state: list[torch.Tensor], begins: torch.Tensor) -> list[torch.Tensor]:
        return [
            torch.where(self._beside(begins, part), self._many(first, len(begins)), part)
            for part, first in zip(state, self._initial(), strict=True)
        ]

    def _beside(self, begins: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """Along the axis of samples of a state."""
        return begins.reshape([-1 if n == self.axis else 1 for n in range(part.dim())])

    def _keep(self, after: list[torch.Tensor], before: list[torch.Tensor]) -> None:
        shapes = [[tuple(part.shape) for part in parts] for parts in (after, before)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"the model returned a state of the shape {shapes[0]}, and was given {shapes[1]}"
            )
        kept = [a.detach().to(b.dtype) for a, b in zip(after, before, strict=True)]
        if not self.training:
            self._evaluated = kept
            return
        for i, part in enumerate(kept):
            setattr(self, f"state_{i}", part)
