"""Losses of numbers, and of yes or no, whose targets may be missing."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["absolute_deviation", "bernoulli_nll", "gaussian_nll", "squared_deviation"]


def bernoulli_nll(logits: Tensor, target: Tensor, voxel_weights: Tensor | None = None) -> Tensor:
    """Negative log-likelihood of yes or no, for each channel alone.

    Parameters
    ----------
    logits
        Of yes, any shape.
    target
        1 for yes, 0 for no, or a probability; not a number: missing. The same shape.
    voxel_weights
        Factors, such as a mask, of a shape that can be broadcast. None: 1.

    Returns
    -------
    torch.Tensor
        The weighted mean over what is not missing; 0, with gradients 0, where all is.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> target = torch.tensor([1.0, float("nan")])
    >>> round(float(bernoulli_nll(torch.tensor([0.0, 3.0]), target)), 4)  # -log(0.5)
    0.6931
    """
    known, target = _known(logits, target)
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(each, known, voxel_weights)


def gaussian_nll(
    mean: Tensor,
    target: Tensor,
    sigma: Tensor | float = 1.0,
    voxel_weights: Tensor | None = None,
) -> Tensor:
    """Negative log-likelihood of numbers with an error that the model says as well.

    ``log(2 pi) / 2 + log(sigma) + ((target - mean) / sigma)**2 / 2``, from the density of the
    normal distribution. (`torch.nn.GaussianNLLLoss` takes the variance, sigma squared.)

    Parameters
    ----------
    mean
        What is predicted, any shape.
    target
        What it should be; not a number: missing. The same shape.
    sigma
        The standard deviation, above 0: of the model, in the same shape; or one number.
    voxel_weights
        Factors, of a shape that can be broadcast. None: 1.

    Returns
    -------
    torch.Tensor
        The weighted mean over what is not missing; 0, with gradients 0, where all is.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> round(float(gaussian_nll(torch.tensor([0.0]), torch.tensor([1.0]))), 4)
    1.4189
    """
    known, target = _known(mean, target)
    sigma = torch.as_tensor(sigma, dtype=mean.dtype, device=mean.device)
    each = 0.5 * math.log(2 * math.pi) + sigma.log() + 0.5 * ((target - mean) / sigma).square()
    return _mean(each, known, voxel_weights)


def squared_deviation(
    prediction: Tensor,
    target: Tensor,
    margin: float = 0.0,
    voxel_weights: Tensor | None = None,
) -> Tensor:
    """Half the square of what a prediction is off by more than a margin.

    Parameters
    ----------
    prediction, target
        The same shape. Where the target is not a number, it is missing.
    margin
        What costs nothing.
    voxel_weights
        Factors, of a shape that can be broadcast. None: 1.

    Returns
    -------
    torch.Tensor
        The weighted mean over what is not missing; 0, with gradients 0, where all is.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> round(float(squared_deviation(torch.tensor([0.5]), torch.tensor([0.0]), margin=0.2)), 4)
    0.045
    """
    known, off = _off(prediction, target, margin)
    return _mean(0.5 * off.square(), known, voxel_weights)


def absolute_deviation(
    prediction: Tensor,
    target: Tensor,
    margin: float = 0.0,
    voxel_weights: Tensor | None = None,
) -> Tensor:
    """What a prediction is off by more than a margin.

    Parameters
    ----------
    prediction, target
        The same shape. Where the target is not a number, it is missing.
    margin
        What costs nothing.
    voxel_weights
        Factors, of a shape that can be broadcast. None: 1.

    Returns
    -------
    torch.Tensor
        The weighted mean over what is not missing; 0, with gradients 0, where all is.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> round(float(absolute_deviation(torch.tensor([0.5]), torch.tensor([0.0]), margin=0.2)), 4)
    0.3
    """
    known, off = _off(prediction, target, margin)
    return _mean(off, known, voxel_weights)


def _off(prediction: Tensor, target: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    known, target = _known(prediction, target)
    return known, ((prediction - target).abs() - margin).clamp(min=0)


def _known(prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Where there is a target; and the target, with a number everywhere."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"the prediction has the shape {tuple(prediction.shape)}, and the target "
            f"{tuple(target.shape)}; they have to be the same"
        )
    target = target.to(prediction.dtype)
    known = ~target.isnan()
    return known, torch.where(known, target, 0)


def _mean(each: Tensor, known: Tensor, weights: Tensor | None) -> Tensor:
    weight = known.to(each.dtype) if weights is None else torch.where(known, weights, 0)
    # What is missing may be infinite, and is not to come back through 0 * inf.
    total = torch.where(weight == 0, 0, each * weight).sum()
    mass = weight.sum()
    return total / torch.where(mass == 0, 1, mass)
