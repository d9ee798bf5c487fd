"""Networks and losses for cells: what they tell apart, and what it costs to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from voxflow.models import DCAN, UNet
from voxflow.torch import ContourAwareLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CellLoss", "Probabilities", "make_network"]

Architecture = Literal["unet", "dcan"]
Activation = Literal["tanh", "sigmoid", "logistic"]

# Of background, interior and boundary, at weights of 0.5.
_CLASS_WEIGHTS = (1.0, 2.0, 10.0)


def make_network(
    architecture: Architecture,
    *,
    channels: int = 1,
    fmaps: int = 64,
    dropout: float = 0.5,
    final_activation: Activation = "tanh",
) -> nn.Module:
    """A network for cells.

    "unet": a U-Net of four levels, whose output is logits of background, interior of an object and
    boundary. "dcan": a `DCAN`, whose output is probabilities of object and boundary. Its maps are
    cut off at 0 before "tanh" and "sigmoid", and learn nothing where they were; before "logistic",
    which is the sigmoid of logits, they are not.

    Examples
    --------
    >>> net = make_network("unet", fmaps=4)
    >>> net(torch.zeros(2, 1, 32, 40)).shape
    torch.Size([2, 3, 32, 40])
    """
    if architecture == "dcan":
        if final_activation == "logistic":
            return nn.Sequential(DCAN(channels, fmaps=fmaps, dropout=dropout), nn.Sigmoid())
        return DCAN(channels, fmaps=fmaps, dropout=dropout, final_activation=final_activation)
    return UNet(
        channels,
        3,
        fmaps=fmaps,
        fmap_factor=2,
        downsample=[(2, 2)] * 3,
        padding="same",
        batch_norm=True,
        dropout=dropout,
    )


class Probabilities(nn.Module):
    """A network of `make_network` whose output is probabilities of object and boundary.

    Shape (sample, 2, y, x); objects are without their boundary.
    """

    def __init__(self, network: nn.Module, architecture: Architecture) -> None:
        super().__init__()
        self.network = network
        self.classes = architecture == "unet"

    def forward(self, image: Tensor) -> Tensor:
        """(sample, channel, y, x) -> (sample, 2, y, x)."""
        output: Tensor = self.network(image)
        return output.softmax(1)[:, 1:] if self.classes else output


class CellLoss(nn.Module):
    """The loss of networks for cells.

    "unet": the mean cross entropy of the classes, where background has the weight 1, objects
    ``2 * obj_weight`` and boundaries ``10 * bnd_weight``. "dcan": `ContourAwareLoss`.

    It is called with the prediction, the classes, of shape (sample, y, x): 0 background, 1 object,
    2 boundary; and, if wanted, a mask of that shape, where 0 counts nothing.

    Examples
    --------
    >>> loss = CellLoss("unet")
    >>> unsure, classes = torch.zeros(1, 3, 2, 2), torch.tensor([[[0, 1], [2, 2]]])
    >>> round(float(loss(unsure, classes)), 4)  # log(3)
    1.0986
    """

    def __init__(
        self, architecture: Architecture, obj_weight: float = 0.5, bnd_weight: float = 0.5
    ) -> None:
        super().__init__()
        self.maps = ContourAwareLoss(obj_weight, bnd_weight, logits=False)
        self.classes = architecture == "unet"
        factors = (1.0, obj_weight, bnd_weight)
        weight = [a * b for a, b in zip(_CLASS_WEIGHTS, factors, strict=True)]
        self.register_buffer("weight", torch.tensor(weight), persistent=False)

    def forward(self, prediction: Tensor, classes: Tensor, mask: Tensor | None = None) -> Tensor:
        """The loss, a scalar."""
        if not self.classes:
            target = torch.stack([classes == 1, classes == 2], 1).to(prediction.dtype)
            found: Tensor = self.maps(prediction, target, *(() if mask is None else (mask,)))
            return found
        weight: Tensor = self.weight.to(prediction.dtype)  # type: ignore[assignment]
        each = nn.functional.cross_entropy(prediction, classes, weight, reduction="none")
        counts = weight[classes]
        if mask is not None:
            each, counts = each * (mask != 0), counts * (mask != 0)
        # Nothing is known: nothing is lost.
        return each.sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)
