"""Several losses at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

__all__ = ["Aggregate"]


class Aggregate(torch.nn.Module):
    """A weighted sum or mean of losses, each with a name.

    A session logs each part as ``"loss.<name>"``, without its weight. ``loss.weights`` can be set
    and scheduled, as a list in the order of the parts.

    Parameters
    ----------
    parts
        By name: the loss, its weight, and what it is given. This is a list of names or positions of
        what the aggregate is given, in the order of the arguments of the loss; left out: all.
    combine
        "mean" divides the sum of the weighted parts by how many there are; "sum" does not.

    Attributes
    ----------
    weights
        One for each part.
    parts
        What each part was at last, without its weight and its history.

    Raises
    ------
    ValueError
        If there are no parts, or the way to combine them is unknown.

    Examples
    --------
    >>> near, far = torch.tensor([1.0]), torch.tensor([5.0])
    >>> off = lambda prediction, target: (prediction - target).abs().mean()
    >>> both = Aggregate({"near": (off, 1.0, [0, 2]), "far": (off, 0.5, [1, 2])})
    >>> float(both(near, far, torch.tensor([-1.0])))  # (2 * 1 + 6 * 0.5) / 2
    2.5
    >>> {name: float(value) for name, value in both.parts.items()}
    {'near': 2.0, 'far': 6.0}
    """

    def __init__(
        self,
        parts: Mapping[str, Sequence[Any]],
        combine: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        if not parts:
            raise ValueError("there are no parts; give {name: (loss, weight)}")
        if combine not in ("mean", "sum"):
            raise ValueError(f"combine is 'mean' or 'sum', got {combine!r}")
        self.combine = combine
        self.weights = [float(part[1]) for part in parts.values()]
        self.parts: dict[str, Tensor] = {}
        self._inputs = {name: part[2] if len(part) > 2 else None for name, part in parts.items()}
        self._functions = {name: part[0] for name, part in parts.items()}
        # Those that are modules move to the device with this one.
        modules = [part[0] for part in parts.values() if isinstance(part[0], torch.nn.Module)]
        self._modules_of_parts = torch.nn.ModuleList(modules)

    def forward(self, *values: Tensor, **named: Tensor) -> Tensor:
        """The loss.

        Raises
        ------
        KeyError
            If a part wants what is not given.
        """
        given: dict[Any, Tensor] = {**dict(enumerate(values)), **named}
        total: Any = 0.0
        for (name, function), weight in zip(self._functions.items(), self.weights, strict=True):
            wanted = self._inputs[name]
            if wanted is None:
                value = function(*values, **named)
            else:
                value = function(*[given[one] for one in wanted])
            self.parts[name] = value.detach()
            total = total + weight * value
        combined: Tensor = total / len(self.weights) if self.combine == "mean" else total
        return combined
