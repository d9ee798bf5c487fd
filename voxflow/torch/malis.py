"""A loss that weights affinities by how many pairs of voxels they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from voxflow.ops.maximin import malis_weights

if TYPE_CHECKING:
    from torch import Tensor

    from voxflow.ops.affinities import Neighborhood

__all__ = ["malis_loss"]


def malis_loss(
    affinities: Tensor,
    target: Tensor,
    labels: Tensor,
    neighborhood: Neighborhood,
    *,
    positive_share: float = 0.5,
) -> Tensor:
    """Squared error of affinities, each weighted by the pairs of voxels that hang on it.

    A single affinity that is wrong between two large objects merges them, many within a membrane
    merge nothing: counted are pairs of voxels, in the two passes of constrained MALIS (see
    `voxflow.ops.maximin.malis_weights`). The pairs of each pass weigh 1 in all, before their share.

    Parameters
    ----------
    affinities
        Predicted, 0 to 1, shape (batch, channels, \\*spatial), one to three spatial axes. Gradients
        flow to them, not through the weights.
    target
        What they should be, 0 or 1, of the same shape.
    labels
        Integers, 0: in no pair; shape (batch, \\*spatial), or (batch, 2, \\*spatial) as
        `PrepareMalis` makes them.
    neighborhood
        A vector in voxels for each channel.
    positive_share
        Of the pairs within objects; the rest is that of pairs of different objects.

    Returns
    -------
    torch.Tensor
        A number: the mean over the batch.

    Raises
    ------
    ValueError
        Shapes do not fit, or the share is not from 0 to 1.

    Examples
    --------
    >>> affinities = torch.tensor([[[0.0, 0.5, 0.5, 1.0]]], requires_grad=True)
    >>> target = torch.tensor([[[0.0, 1.0, 0.0, 1.0]]])
    >>> loss = malis_loss(affinities, target, torch.tensor([[5, 5, 7, 7]]), [[-1]])
    >>> float(loss.detach())  # half of (0.25 + 0) / 2, and half of 0.25
    0.1875
    """
    if not 0 <= positive_share <= 1:
        raise ValueError(f"positive_share is from 0 to 1, got {positive_share}")
    dims = affinities.ndim - 2
    if labels.ndim not in (dims + 1, dims + 2) or len(labels) != len(affinities):
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}; beside affinities of shape "
            f"{tuple(affinities.shape)} that is (batch, *spatial) or (batch, 2, *spatial)"
        )
    pairs = labels
    if labels.ndim == dims + 1:
        pairs = labels.unsqueeze(1).expand(-1, 2, *labels.shape[1:])
    weights = []
    for predicted, wanted, ids in zip(
        *(tensor.detach().cpu().numpy() for tensor in (affinities, target, pairs)), strict=True
    ):
        passes = malis_weights(predicted, wanted, neighborhood, ids[1], ids[0])
        weights.append([counts / max(1, counts.sum()) for counts in passes])
    weight = torch.as_tensor(np.array(weights), dtype=affinities.dtype, device=affinities.device)
    within = (weight[:, 0] * (1 - affinities) ** 2).sum()
    between = (weight[:, 1] * affinities**2).sum()
    return (positive_share * within + (1 - positive_share) * between) / len(affinities)
