"""Weights averaged over steps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Averages:
    """The exponential moving average of a model's parameters: ``a = d * a + (1 - d) * p``.

    It begins at the parameters as they are. Buffers, such as running means, are not averaged.

    Source: Polyak & Juditsky 1992, doi:10.1137/0330046, with the exponential weights that are usual
    for networks.

    Parameters
    ----------
    model
        The model.
    decay
        ``d``, from 0 (the parameters themselves) to below 1.

    Raises
    ------
    ValueError
        If the decay is out of range.

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.zeros_(model.weight)
    >>> averages = Averages(model, 0.75)
    >>> _ = torch.nn.init.ones_(model.weight)
    >>> averages.update()
    >>> with averages.used():
    ...     print(model.weight.item())
    0.25
    >>> model.weight.item()
    1.0
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of averaged weights is in [0, 1), got {decay}")
        self.decay = decay
        self._parameters = dict(model.named_parameters())
        self._averages = {n: p.detach().clone() for n, p in self._parameters.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        averages = list(self._averages.values())
        now = [p.detach() for p in self._parameters.values()]
        torch._foreach_lerp_(averages, now, 1 - self.decay)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let the model have the averages for the time of a block; then exactly what it had."""
        before = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._set(self._averages)
        try:
            yield
        finally:
            self._set(before)

    @torch.no_grad()
    def _set(self, values: Mapping[str, torch.Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """The averages, by the names of the parameters."""
        return dict(self._averages)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from averages that were saved.

        Raises
        ------
        ValueError
            If they are of other parameters.
        """
        if state.keys() != self._averages.keys():
            odd = sorted(state.keys() ^ self._averages.keys())
            raise ValueError(f"the averaged weights are of another model, they differ in {odd}")
        for name, average in self._averages.items():
            average.copy_(state[name])
