"""Nonlinear conjugate gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class NonlinearCG(torch.optim.Optimizer):
    """Conjugate gradients with a backtracking line search, several steps on one batch.

    Directions are those of Polak and Ribière, with what is below 0 taken as 0, which is a restart
    along the gradient; so is a direction that does not go down. Every ``step`` begins along the
    gradient: its batch is another one.

    Source: Nocedal & Wright, Numerical Optimization, 2nd edition: algorithm 5.4 with the factor
    (5.45); the sufficient decrease (3.4) by backtracking as in algorithm 3.1; the first length
    tried by (3.60).

    Parameters
    ----------
    params
        The parameters, in one group.
    n_steps
        How many steps are made on a batch.
    alpha
        How much of the decrease that the slope promises is enough (Armijo's constant), in (0, 1).
    beta
        What a length that is too long is multiplied by, in (0, 1).
    max_step, min_step
        The longest and the shortest length, as multiples of the direction. The shortest one is
        taken even where the loss does not fall enough.

    Attributes
    ----------
    timeline
        Of the last ``step``: loss before, length, factor and number of evaluations of each of its
        steps.

    Raises
    ------
    ValueError
        If a number is out of range, or there are several groups.

    Examples
    --------
    >>> x = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    >>> optimizer = NonlinearCG([x], max_step=1.0)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (x**2).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(5):
    ...     _ = optimizer.step(closure)
    >>> bool((x.abs() < 1e-4).all())
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        n_steps: int = 4,
        alpha: float = 0.35,
        beta: float = 0.75,
        max_step: float = 0.02,
        min_step: float = 8e-5,
    ) -> None:
        if n_steps < 1 or not 0 < alpha < 1 or not 0 < beta < 1 or not 0 < min_step <= max_step:
            raise ValueError(
                "NonlinearCG takes n_steps >= 1, alpha and beta in (0, 1), and 0 < min_step <= "
                f"max_step; got {n_steps}, {alpha}, {beta}, {min_step}, {max_step}"
            )
        options = {"n_steps": n_steps, "alpha": alpha, "beta": beta}
        super().__init__(params, {**options, "max_step": max_step, "min_step": min_step})
        if len(self.param_groups) != 1:
            raise ValueError("NonlinearCG takes parameters in one group, as one direction has them")
        self.timeline: list[dict[str, float]] = []

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Make `n_steps` steps.

        Parameters
        ----------
        closure
            Clears the gradients, computes the loss and its gradients, and returns the loss.

        Returns
        -------
        torch.Tensor
            The loss before.
        """
        evaluate = torch.enable_grad()(closure)
        group = self.param_groups[0]
        before = evaluate()
        loss, gradient = float(before), self._gradient()
        direction, factor, length, slope = -gradient, 0.0, float(group["max_step"]), None
        self.timeline = []
        for _ in range(group["n_steps"]):
            now = float(gradient @ direction)
            if not now < 0:
                direction, factor = -gradient, 0.0
                now = float(gradient @ direction)
            if not (now < 0 and math.isfinite(loss)):
                break  # a stationary point, or none that anything can be said of
            guess = group["max_step"] if slope is None else length * slope / now
            length, value, count = self._search(evaluate, direction, loss, now, guess)
            self.timeline.append(
                {"loss": loss, "step": length, "factor": factor, "evaluations": count}
            )
            following = self._gradient()
            change = following @ (following - gradient)
            factor = max(0.0, float(change / (gradient @ gradient)))
            direction = -following + factor * direction
            loss, gradient, slope = value, following, now
        return before

    def _search(
        self,
        evaluate: Callable[[], Any],
        direction: torch.Tensor,
        loss: float,
        slope: float,
        guess: float,
    ) -> tuple[float, float, int]:
        """Go along a direction: the length, the loss there, and how often it was evaluated."""
        group = self.param_groups[0]
        shortest, longest = group["min_step"], group["max_step"]
        start = [p.detach().clone() for p in self._parameters()]
        length, count = min(max(guess, shortest), longest), 0
        while True:
            self._move(start, direction, length)
            value, count = float(evaluate()), count + 1
            # Not a number is never enough.
            if value <= loss + group["alpha"] * length * slope or length <= shortest:
                return length, value, count
            length = max(length * group["beta"], shortest)

    def _parameters(self) -> list[torch.Tensor]:
        return [p for p in self.param_groups[0]["params"] if p.requires_grad]

    def _gradient(self) -> torch.Tensor:
        parts = [
            torch.zeros_like(p).ravel() if p.grad is None else p.grad.ravel()
            for p in self._parameters()
        ]
        return torch.cat(parts)

    def _move(self, start: list[torch.Tensor], direction: torch.Tensor, length: float) -> None:
        at = 0
        for parameter, origin in zip(self._parameters(), start, strict=True):
            part = direction[at : at + origin.numel()].view_as(origin)
            torch.add(origin, part, alpha=length, out=parameter.data)
            at += origin.numel()
