"""Conjugate gradients: quadratics, bounds of the lengths, restarts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.torch import NonlinearCG


def quadratic(dims, seed, condition):
    """``x^T A x / 2`` with eigenvalues from 1 to a condition number."""
    generator = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(dims, dims, generator=generator, dtype=torch.float64))
    matrix = basis @ torch.diag(torch.linspace(1, condition, dims, dtype=torch.float64)) @ basis.T
    x = torch.nn.Parameter(torch.randn(dims, generator=generator, dtype=torch.float64))
    return x, lambda: x @ matrix @ x / 2


def closed(optimizer, function):
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = function()
        loss.backward()
        calls.append(loss.item())
        return loss

    return closure, calls


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(1, 20))
def test_a_quadratic_of_20_dimensions_takes_20_steps(seed, condition):
    x, function = quadratic(20, seed, condition)
    optimizer = NonlinearCG([x], max_step=1.0)
    closure, _ = closed(optimizer, function)
    for _ in range(20):
        optimizer.step(closure)
    assert function().item() < 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(2, 100), st.floats(1e-5, 1e-3), st.floats(2e-3, 1))
def test_lengths_stay_in_their_bounds_and_the_timeline_tells_of_them(seed, condition, low, high):
    x, function = quadratic(5, seed, condition)
    optimizer = NonlinearCG([x], min_step=low, max_step=high)
    closure, calls = closed(optimizer, function)
    for _ in range(5):
        calls.clear()
        before = optimizer.step(closure)
        assert before.item() == calls[0]
        assert len(optimizer.timeline) == 4
        assert all(low <= entry["step"] <= high for entry in optimizer.timeline)
        assert all(entry["factor"] >= 0 for entry in optimizer.timeline)
        assert sum(entry["evaluations"] for entry in optimizer.timeline) == len(calls) - 1
        assert optimizer.timeline[0]["factor"] == 0


def test_where_there_is_no_way_down_it_stays():
    x = torch.nn.Parameter(torch.zeros(3))
    optimizer = NonlinearCG([x])
    closure, calls = closed(optimizer, lambda: (x**2).sum())
    optimizer.step(closure)
    assert len(calls) == 1
    assert torch.equal(x.detach(), torch.zeros(3))


def test_parameters_that_are_not_trained_or_not_used_stay():
    trained, fixed, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    fixed.requires_grad_(False)
    optimizer = NonlinearCG([trained, fixed, unused], max_step=0.5)
    closure, _ = closed(optimizer, lambda: ((trained + fixed) ** 2).sum())
    for _ in range(10):
        optimizer.step(closure)
    torch.testing.assert_close(trained.detach(), torch.full((2,), -1.0), atol=1e-3, rtol=0)
    assert torch.equal(fixed, torch.ones(2))
    assert torch.equal(unused.detach(), torch.ones(2))


def test_mistakes_are_said():
    x, y = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    for options in ({"n_steps": 0}, {"alpha": 1}, {"beta": 0}, {"min_step": 1}):
        with pytest.raises(ValueError, match="NonlinearCG takes"):
            NonlinearCG([x], **options)
    with pytest.raises(ValueError, match="one group"):
        NonlinearCG([{"params": [x]}, {"params": [y]}])
