"""Trained networks in another form that computes the same: at every voxel, or in fewer layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fuse_batch_norm", "to_dense"]

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_MAX_POOL = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_NORM: Mapping[type[nn.Module], Any] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}
# Look at one place at a time, whatever the stride of what was before.
_POINTWISE = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.Identity,
    nn.Softmax,
    nn.LogSoftmax,
)


def to_dense(model: nn.Sequential) -> nn.Sequential:
    """The network without strides: what it says of one place in so many, it says of all.

    Strides of convolutions and of pooling become dilations of what follows (Li et al. 2014, "Highly
    efficient forward and backward propagation of convolutional neural networks for pixelwise
    classification"; ELEKTRONN's max-fragment pooling gives the same numbers). The weights are the
    same, and so are their names, so that checkpoints fit either.

    Parameters
    ----------
    model
        A sequence of convolutions without padding, max pooling, and layers that look at one place:
        activations, batch normalisation, dropout; or sequences of these.

    Returns
    -------
    torch.nn.Sequential
        A copy. Where `model` has stride s, ``dense(x)[..., o::s]`` is ``model(x[..., o:])``.

    Raises
    ------
    ValueError
        If a layer cannot be converted.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Conv1d(1, 2, 3), nn.MaxPool1d(2), nn.Conv1d(2, 1, 3))
    >>> net(torch.zeros(1, 1, 20)).shape, to_dense(net)(torch.zeros(1, 1, 20)).shape
    (torch.Size([1, 1, 7]), torch.Size([1, 1, 13]))
    """
    dense = copy.deepcopy(model)
    stride: list[int] = []
    for name, layer in dense.named_modules():
        if isinstance(layer, (*_CONV, *_MAX_POOL)):
            _convert(name, layer, stride)
        elif not isinstance(layer, (nn.Sequential, *_POINTWISE)) and not _is_activation(layer):
            raise ValueError(
                f"{name or 'the network'} is a {type(layer).__name__}, which has no form without "
                "strides here: there is one of sequences of convolutions, max pooling and "
                "activations. Networks that upsample say something of every voxel anyway"
            )
    return dense


def _convert(name: str, layer: Any, stride: list[int]) -> None:
    """Give a layer the strides so far as dilation, and add its own to them."""
    kind = _CONV if isinstance(layer, _CONV) else _MAX_POOL
    dims = next(n for n, one in enumerate(kind, 1) if isinstance(layer, one))
    stride += [] if stride else [1] * dims
    if len(stride) != dims:
        raise ValueError(f"{name} has {dims} axes, and layers before it have {len(stride)}")
    padding = layer.padding
    padded = padding not in (0, "valid") and any(_each(padding, dims)) if padding else False
    if padded or getattr(layer, "ceil_mode", False):
        raise ValueError(
            f"{name} pads its input, so that what it says depends on where the input ends; train "
            "with padding=0 and ceil_mode=False"
        )
    own = _each(layer.stride, dims)
    layer.dilation = tuple(d * s for d, s in zip(_each(layer.dilation, dims), stride, strict=True))
    layer.stride = (1,) * dims
    stride[:] = [a * b for a, b in zip(stride, own, strict=True)]


def _each(value: Any, dims: int) -> tuple[Any, ...]:
    if isinstance(value, str):
        return (value,) * dims
    return tuple(value) if isinstance(value, tuple | list) else (value,) * dims


def _is_activation(layer: nn.Module) -> bool:
    return type(layer).__module__ == "torch.nn.modules.activation" and not isinstance(
        layer, nn.MultiheadAttention
    )


def fuse_batch_norm(model: nn.Module) -> nn.Module:
    """The network in evaluation mode, with batch normalisation as part of the convolutions before.

    It computes the same, up to rounding, in fewer passes over memory. It is for prediction: it
    cannot be trained on.

    Parameters
    ----------
    model
        Any network. In each `torch.nn.Sequential` of it, a batch normalisation right behind a
        convolution is fused; others stay.

    Returns
    -------
    torch.nn.Module
        A copy.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    >>> [type(layer).__name__ for layer in fuse_batch_norm(net)]
    ['Conv2d', 'Identity', 'ReLU']
    """
    fused = copy.deepcopy(model).eval()
    for sequence in fused.modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        for place in range(len(sequence) - 1):
            conv, norm = sequence[place], sequence[place + 1]
            kind = _NORM.get(type(conv))
            if kind is not None and isinstance(norm, kind) and norm.track_running_stats:
                sequence[place] = fuse_conv_bn_eval(conv, norm)  # type: ignore[type-var]
                # It stays in its place, so that names of other layers do.
                sequence[place + 1] = nn.Identity()
    for parameter in fused.parameters():
        parameter.requires_grad_(False)
    return fused
