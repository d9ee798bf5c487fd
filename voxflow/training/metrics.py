"""How well a model does on batches that it was not trained on: measures by name."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Metric(Protocol):
    """A measure of several batches."""

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Take in what the loss of one batch was given: prediction, target ..."""

    def result(self) -> float:
        """The measure of all of them; not a number without any."""


class Mean:
    """The mean over batches of a function of what the loss was given.

    Batches in which it is not a number do not count.

    Parameters
    ----------
    function
        Returns a number.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._values: list[float] = []

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Take in one batch."""
        value = float(self._function(*args, **kwargs))
        if not math.isnan(value):
            self._values.append(value)

    def result(self) -> float:
        """The mean."""
        return sum(self._values) / len(self._values) if self._values else math.nan


class Classified:
    """A ratio of counts of voxels, over all batches together.

    Parameters
    ----------
    ratio
        Of a table of counts, ``table[label, predicted]``, the one above and the one below.
    binary
        Whether there have to be two classes, of which 1 is the one that is looked for.
    """

    def __init__(
        self, ratio: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]], binary: bool
    ) -> None:
        self._ratio = ratio
        self._binary = binary
        self._table: torch.Tensor | None = None

    def add(self, prediction: torch.Tensor, target: torch.Tensor, *_: Any, **__: Any) -> None:
        """Take in one batch.

        Parameters
        ----------
        prediction
            Logits: of one class, in the shape of the target, or of several along axis 1 (or 0,
            without an axis for samples).
        target
            The class of each voxel; what is below 0 does not count.
        """
        predicted, classes = predicted_classes(prediction, target)
        if self._binary and classes != 2:
            raise ValueError(f"this metric is one of two classes, the prediction has {classes}")
        labels = target.reshape(-1).long()
        known = labels >= 0
        index = labels[known] * classes + predicted.reshape(-1)[known]
        if index.numel() and int(labels.max()) >= classes:
            raise ValueError(
                f"the target has the class {int(labels.max())}, the prediction has {classes}"
            )
        table = torch.bincount(index, minlength=classes**2).view(classes, classes).double().cpu()
        self._table = table if self._table is None else self._table + table

    def result(self) -> float:
        """The ratio."""
        if self._table is None:
            return math.nan
        above, below = self._ratio(self._table)
        return float(above / below)


def predicted_classes(prediction: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The class of the largest logit, and how many classes there are.

    Examples
    --------
    >>> predicted_classes(torch.tensor([-1.0, 2.0]), torch.tensor([0, 1]))
    (tensor([0, 1]), 2)
    >>> predicted_classes(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0]))
    (tensor([2]), 3)
    """
    shape, wanted = tuple(prediction.shape), tuple(target.shape)
    if shape == wanted:
        return (prediction > 0).long(), 2
    for axis in (1, 0):
        if len(shape) > axis and (*shape[:axis], *shape[axis + 1 :]) == wanted:
            return prediction.argmax(axis), shape[axis]
    raise ValueError(
        f"a prediction of the shape {shape} does not fit a target of the shape {wanted}: it has "
        "either the same, or one axis more, for the classes"
    )


def _share(table: torch.Tensor, *places: tuple[int, int]) -> torch.Tensor:
    return torch.stack([table[place] for place in places]).sum()


def _balanced(table: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    found = table.diagonal() / table.sum(1)
    there = table.sum(1) > 0
    return found[there].sum(), there.sum()


_TP, _TN, _FP, _FN = (1, 1), (0, 0), (0, 1), (1, 0)

_RATIOS: Mapping[str, tuple[Callable[[torch.Tensor], Any], bool]] = {
    "accuracy": (lambda t: (t.trace(), t.sum()), False),
    "error": (lambda t: (t.sum() - t.trace(), t.sum()), False),
    "balanced_accuracy": (_balanced, False),
    "precision": (lambda t: (t[_TP], _share(t, _TP, _FP)), True),
    "recall": (lambda t: (t[_TP], _share(t, _TP, _FN)), True),
    "false_positive_rate": (lambda t: (t[_FP], _share(t, _FP, _TN)), True),
    "f1": (lambda t: (2 * t[_TP], _share(t, _TP, _TP, _FP, _FN)), True),
    "iou": (lambda t: (t[_TP], _share(t, _TP, _FP, _FN)), True),
}

_FUNCTIONS: Mapping[str, Callable[..., torch.Tensor]] = {
    "mse": lambda prediction, target, *_: (prediction - target).square().mean(),
    "mae": lambda prediction, target, *_: (prediction - target).abs().mean(),
}

NAMES = (*_RATIOS, *_FUNCTIONS)
"""Metrics that are known by name."""


def metric(what: str | Callable[..., Any]) -> Metric:
    """A new metric.

    Parameters
    ----------
    what
        A name, or a function of what the loss is given, of which the mean over batches is taken.

    Raises
    ------
    ValueError
        If there is no such name.

    Examples
    --------
    >>> error = metric("error")
    >>> error.add(torch.tensor([1.0, 2.0, -1.0, 3.0]), torch.tensor([1, 0, 0, -1]))
    >>> error.result()
    0.3333333333333333
    """
    if callable(what):
        return Mean(what)
    if what in _RATIOS:
        return Classified(*_RATIOS[what])
    if what in _FUNCTIONS:
        return Mean(_FUNCTIONS[what])
    near = get_close_matches(what, NAMES, 1)
    hint = f"; do you mean {near[0]!r}?" if near else "."
    raise ValueError(f"there is no metric {what!r}{hint} There is: {', '.join(NAMES)}")
