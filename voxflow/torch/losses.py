"""Losses that know which labels are missing."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

__all__ = ["lazy_nll"]


def lazy_nll(
    logits: Tensor,
    labels: Tensor,
    labelled: Tensor | None = None,
    absent: Tensor | None = None,
    class_weights: Tensor | None = None,
    voxel_weights: Tensor | None = None,
    normalize: Literal["count", "sum"] = "sum",
    *,
    pseudo_label_threshold: float | None = None,
) -> Tensor:
    """Negative log-likelihood of classes that were labelled lazily: some here, some not at all.

    A sample says which classes were labelled in it, and which do not occur in it. Each voxel with a
    label ``y`` that was labelled counts ``-log p[y]``, and each voxel counts ``-log(1 - p[k])`` for
    each absent class ``k``. Without `labelled` and `absent` this is the cross entropy. (ELEKTRONN's
    lazy labels.)

    Parameters
    ----------
    logits
        Shape (batch, classes, \\*spatial), two classes or more.
    labels
        Class numbers, shape (batch, \\*spatial); below 0: no label.
    labelled
        Not 0 where voxels of a class were labelled, shape (batch, classes). None: everywhere.
    absent
        Not 0 where no voxel is of a class, shape (batch, classes). None: nowhere.
    class_weights
        A factor for each class, for both kinds of terms, shape (classes,). None: 1.
    voxel_weights
        A factor for each voxel, such as a mask, shape (batch, \\*spatial). None: 1.
    normalize
        What the sum is divided by: "sum", the weights that were summed, as torch does; "count", how
        many terms there are with a voxel weight that is not 0, as ELEKTRONN does.
    pseudo_label_threshold
        Where there is no label and the model gives a class a probability above this, that class is
        the label. For models that are trained already. None: no such labels. (ELEKTRONN's label
        propagation.)

    Returns
    -------
    torch.Tensor
        A number; 0, with gradients 0, where there is no term.

    Raises
    ------
    ValueError
        A label is no class, there are fewer than two, shapes do not fit, or the threshold is not
        in [0.5, 1).

    Examples
    --------
    >>> probabilities = torch.tensor([[0.7, 0.2, 0.1]])
    >>> absent = torch.tensor([[0, 0, 1]])
    >>> loss = lazy_nll(probabilities.log(), torch.tensor([0]), absent=absent)
    >>> round(float(loss), 4)  # (-log(0.7) - log(1 - 0.1)) / 2
    0.231
    """
    classes = _classes(logits, labels, (labelled, absent), class_weights, voxel_weights)
    if normalize not in ("count", "sum"):
        raise ValueError(f'normalize is "count" or "sum"; got {normalize!r}')
    if pseudo_label_threshold is not None and not 0.5 <= pseudo_label_threshold < 1:
        raise ValueError(f"a threshold of labels is in [0.5, 1); got {pseudo_label_threshold}")
    each = torch.ones_like(labels, dtype=logits.dtype) if voxel_weights is None else voxel_weights
    per_class = logits.new_ones(classes) if class_weights is None else class_weights
    there = labels >= 0
    target = labels.clamp(min=0).long()
    if labelled is not None:
        known = (labelled != 0).gather(1, target.reshape(len(target), -1)).reshape(there.shape)
        there = there & known
    likelihoods = torch.log_softmax(logits, 1)
    if pseudo_label_threshold is not None:
        best, likely = likelihoods.detach().max(1)
        sure = (labels < 0) & (best > math.log(pseudo_label_threshold))
        target, there = torch.where(sure, likely, target), there | sure
    weights = [torch.where(there, per_class[target] * each, 0)]
    found = likelihoods.gather(1, target.unsqueeze(1)).squeeze(1)
    total = -(weights[0] * found).sum()
    count = (there & (each != 0)).sum()
    for number in _anywhere(absent):
        missing = _like(absent[:, number] != 0, there) if absent is not None else there
        weight = torch.where(missing, per_class[number] * each, 0)
        total = total - (weight * _log_of_the_others(logits, number)).sum()
        weights.append(weight)
        count = count + (missing & (each != 0)).sum()
    if normalize == "count":
        return total / count.clamp(min=1)
    mass = torch.stack([weight.sum() for weight in weights]).sum()
    return total / torch.where(mass == 0, 1, mass)


def _classes(
    logits: Tensor,
    labels: Tensor,
    masks: tuple[Tensor | None, ...],
    class_weights: Tensor | None,
    voxel_weights: Tensor | None,
) -> int:
    """How many classes there are, if all shapes fit."""
    batch, classes, *spatial = logits.shape
    if classes < 2:
        raise ValueError(f"there are two classes or more; logits have shape {tuple(logits.shape)}")
    for name, tensor, shape in (
        ("labels", labels, (batch, *spatial)),
        ("labelled", masks[0], (batch, classes)),
        ("absent", masks[1], (batch, classes)),
        ("class_weights", class_weights, (classes,)),
        ("voxel_weights", voxel_weights, (batch, *spatial)),
    ):
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name} have shape {tuple(tensor.shape)}; beside logits of shape "
                f"{tuple(logits.shape)} it is {shape}"
            )
    if labels.numel() and int(labels.max()) >= classes:
        raise ValueError(
            f"there is a label {int(labels.max())}, but only {classes} classes, from 0"
        )
    return classes


def _anywhere(absent: Tensor | None) -> list[int]:
    return [] if absent is None else (absent != 0).any(0).nonzero().flatten().tolist()


def _like(per_sample: Tensor, voxels: Tensor) -> Tensor:
    return per_sample.reshape(-1, *(1,) * (voxels.ndim - 1)).expand_as(voxels)


def _log_of_the_others(logits: Tensor, number: int) -> Tensor:
    """``log(1 - p)`` of a class; from the logits, since 1 - p may round to 0."""
    others = torch.cat([logits[:, :number], logits[:, number + 1 :]], 1)
    return torch.logsumexp(others, 1) - torch.logsumexp(logits, 1)
