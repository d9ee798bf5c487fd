"""How much of objects and boundaries was found, voxel by voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NAMES"]

_CHANNELS = {"objects": 1, "boundaries": 2}


def _counts(
    channel: int, prediction: torch.Tensor, classes: torch.Tensor, mask: torch.Tensor | None
) -> tuple[float, float, float]:
    """True positives, all that were found, and all that there are."""
    if prediction.shape[1] == 3:
        found = prediction.argmax(1) == channel
    else:
        found = prediction[:, channel - 1] > 0.5
    there = classes == channel
    if mask is not None:
        found, there = found & (mask != 0), there & (mask != 0)
    return float((found & there).sum()), float(found.sum()), float(there.sum())


def _ratio(above: float, below: float) -> float:
    return above / below if below else float("nan")


def _iou(both: float, found: float, there: float) -> float:
    return _ratio(both, found + there - both)


def _recall(both: float, found: float, there: float) -> float:
    return _ratio(both, there)


def _precision(both: float, found: float, there: float) -> float:
    return _ratio(both, found)


def _named(channel: str, ratio: Callable[..., float]) -> Callable[..., float]:
    def measure(
        prediction: torch.Tensor, classes: torch.Tensor, mask: torch.Tensor | None = None
    ) -> float:
        return ratio(*_counts(_CHANNELS[channel], prediction, classes, mask))

    return measure


objects_iou, objects_recall, objects_precision = (
    _named("objects", ratio) for ratio in (_iou, _recall, _precision)
)
boundaries_iou, boundaries_recall, boundaries_precision = (
    _named("boundaries", ratio) for ratio in (_iou, _recall, _precision)
)
"""Of a prediction of three logits, or of two probabilities; of classes; and of a mask."""

NAMES = tuple(f"{c}_{r}" for c in _CHANNELS for r in ("iou", "recall", "precision"))
"""All of them."""
