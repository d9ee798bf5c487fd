"""Losses of numbers, against formulas and torch; missing targets count nothing."""

import math

import pytest
import torch
from torch.nn import functional

from voxflow.torch import absolute_deviation, bernoulli_nll, gaussian_nll, squared_deviation

SHAPE = (2, 3, 4, 5)


def some(seed=0):
    rng = torch.Generator().manual_seed(seed)
    prediction = torch.randn(SHAPE, generator=rng, requires_grad=True)
    return prediction, torch.rand(SHAPE, generator=rng), torch.rand(SHAPE, generator=rng)


def test_numbers_of_the_formulas():
    one, zero, half = torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([0.5])
    assert float(gaussian_nll(zero, one)) == pytest.approx(1.4189, abs=5e-5)
    assert float(gaussian_nll(zero, one, half)) == pytest.approx(
        0.5 * math.log(2 * math.pi) + math.log(0.5) + 2
    )
    assert float(squared_deviation(half, zero, 0.2)) == pytest.approx(0.045)
    assert float(absolute_deviation(half, zero, 0.2)) == pytest.approx(0.3)
    assert float(squared_deviation(0.2 * half, zero, 0.2)) == 0
    assert float(absolute_deviation(-half, zero)) == 0.5


def test_without_anything_missing_they_are_torchs():
    p, t, w = some()
    torch.testing.assert_close(
        bernoulli_nll(p, t), functional.binary_cross_entropy_with_logits(p, t)
    )
    variance = (w + 0.1).square()
    torch.testing.assert_close(
        gaussian_nll(p, t, w + 0.1),
        functional.gaussian_nll_loss(p, t, variance, full=True, eps=0),
    )
    torch.testing.assert_close(squared_deviation(p, t), 0.5 * functional.mse_loss(p, t))
    torch.testing.assert_close(absolute_deviation(p, t), functional.l1_loss(p, t))


@pytest.mark.parametrize("loss", [bernoulli_nll, gaussian_nll, squared_deviation])
def test_what_is_missing_or_weighs_nothing_has_no_part(loss):
    p, t, w = some()
    w[:, :, 0] = 0
    missing = torch.rand(SHAPE) < 0.3
    holes = torch.where(missing, math.nan, t)
    got = loss(p, holes, voxel_weights=w)
    got.backward()
    there = ~missing & (w > 0)
    each = torch.stack([loss(a, b) for a, b in zip(p.detach()[there], t[there], strict=True)])
    torch.testing.assert_close(got.detach(), (each * w[there]).sum() / w[there].sum())
    assert torch.equal(p.grad != 0, there)
    p.grad = None
    nothing = loss(p, torch.full(SHAPE, math.nan))
    nothing.backward()
    assert nothing.item() == 0
    assert not p.grad.any()


def test_shapes_have_to_be_the_same():
    p, t, _ = some()
    with pytest.raises(ValueError, match=r"\(2, 3, 4, 5\), and the target \(2, 1, 4, 5\)"):
        squared_deviation(p, t[:, :1])
