"""The loss of networks that tell objects and their boundaries."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from voxflow.torch.aggregate import Aggregate
from voxflow.torch.deviations import bernoulli_nll

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ContourAwareLoss"]

_HEADS = ("objects", "boundaries")
# Probabilities are kept away from 0 and 1, whose logarithms have no end.
_LEAST = 1e-6


class ContourAwareLoss(Aggregate):
    """Yes or no for each voxel: is it of an object, is it of a boundary?

    The sum of the cross entropies of both, each with its weight; and the same of auxiliary outputs
    (Chen et al., CVPR 2016), which help the deep levels of a `voxflow.models.DCAN` to learn. Their
    weights should fall: those of ``loss.weights`` can be scheduled.

    It is called with the prediction and the target, both of shape (sample, 2, \\*spatial), the
    objects first; then, if wanted, a factor for each voxel, such as a mask, of shape (sample,
    \\*spatial) or (sample, 1 or 2, \\*spatial). Auxiliary outputs are given by any name. What is
    ignored by the mask, or not a number in the target, counts nothing.

    Parameters
    ----------
    obj_weight, bnd_weight
        How much the objects count, and the boundaries.
    auxiliary
        How much the auxiliary outputs count, as a share of that. More than 0: they have to be
        given. 0: they are left out.
    logits
        Whether predictions are logits. False: probabilities, such as those of a DCAN with a
        `final_activation`.

    Attributes
    ----------
    weights
        Of objects and boundaries; with `auxiliary` those of their auxiliary outputs after them.
    parts
        See `Aggregate`: "objects", "boundaries", "auxiliary_objects" and "auxiliary_boundaries".

    Raises
    ------
    ValueError
        If a weight is negative; when called, if shapes differ, or auxiliary outputs are wanted and
        none are given.

    Examples
    --------
    >>> loss = ContourAwareLoss(obj_weight=1.0, bnd_weight=0.5)
    >>> unsure, target = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    >>> round(float(loss(unsure, target)), 4)  # 1.5 * -log(0.5)
    1.0397
    """

    def __init__(
        self,
        obj_weight: float = 0.5,
        bnd_weight: float = 0.5,
        auxiliary: float = 0.0,
        *,
        logits: bool = True,
    ) -> None:
        if min(obj_weight, bnd_weight, auxiliary) < 0:
            raise ValueError(
                "weights are not negative; got obj_weight, bnd_weight, auxiliary = "
                f"{obj_weight}, {bnd_weight}, {auxiliary}"
            )
        parts = {}
        for head, weight in enumerate((obj_weight, bnd_weight)):
            parts[_HEADS[head]] = (partial(_of_output, head, logits), weight)
        for head, weight in enumerate((obj_weight, bnd_weight) if auxiliary else ()):
            name = f"auxiliary_{_HEADS[head]}"
            parts[name] = (partial(_of_auxiliary, head, logits), auxiliary * weight)
        super().__init__(parts, combine="sum")


def _of_output(
    head: int,
    logits: bool,
    prediction: Tensor,
    target: Tensor,
    voxel_weights: Tensor | None = None,
    **_: Tensor,
) -> Tensor:
    """The cross entropy of one head."""
    if prediction.shape != target.shape or prediction.ndim < 3 or prediction.shape[1] != 2:
        raise ValueError(
            "prediction and target are of shape (sample, 2, *spatial): objects and boundaries; got "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    said = prediction[:, head]
    if voxel_weights is not None and voxel_weights.ndim == prediction.ndim:
        voxel_weights = voxel_weights[:, head if voxel_weights.shape[1] > 1 else 0]
    if not logits:
        said = torch.logit(said, _LEAST)
    return bernoulli_nll(said, target[:, head].to(said.dtype), voxel_weights)


def _of_auxiliary(
    head: int,
    logits: bool,
    prediction: Tensor,
    target: Tensor,
    voxel_weights: Tensor | None = None,
    **auxiliary: Tensor,
) -> Tensor:
    """The sum of the cross entropies of one head of all auxiliary outputs."""
    if not auxiliary:
        raise ValueError(
            "auxiliary outputs have a weight, but none are given: build the network with "
            "auxiliary=True and give them to the loss by name, or take auxiliary=0"
        )
    losses = [_of_output(head, logits, one, target, voxel_weights) for one in auxiliary.values()]
    return torch.stack(losses).sum()
