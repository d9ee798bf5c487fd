"""A value that becomes smaller when a measurement does not get better any more."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from voxflow.training.improvement import Improvement, Mode
from voxflow.training.schedules import each

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Plateau"]


class Plateau:
    """Multiplies by a factor whenever so many measurements in a row were no improvement.

    It is a `Schedule` that depends on what it observes: its state belongs into a checkpoint.

    Parameters
    ----------
    metric
        The name of what is measured. Steps at which it is not measured do not count.
    factor
        From 0 to below 1.
    patience
        How many measurements without an improvement, 1 or more. They are counted anew after each
        reduction; the best value stays the best.
    mode
        "min": smaller is better; "max": larger is.
    min_delta
        By how much a value has to be better than the best one to count.
    lowest
        No value is made smaller than this.

    Raises
    ------
    ValueError
        If the numbers are not as above.

    Examples
    --------
    >>> rate = Plateau("valid", factor=0.5, patience=2)
    >>> for step, error in [(100, 0.9), (200, 0.8), (300, 0.8), (400, 0.85)]:
    ...     rate.observe(step, {"valid": error})
    >>> rate.value(399, 1.0), rate.value(400, 1.0)
    (1.0, 0.5)
    """

    def __init__(
        self,
        metric: str,
        factor: float = 0.1,
        patience: int = 10,
        *,
        mode: Mode = "min",
        min_delta: float = 0.0,
        lowest: float = 0.0,
    ) -> None:
        if not 0 <= factor < 1:
            raise ValueError(f"the factor has to be 0 or more and less than 1, got {factor}")
        if patience < 1:
            raise ValueError(f"patience has to be at least 1, got {patience}")
        self.metric = metric
        self.factor = factor
        self.patience = patience
        self.lowest = lowest
        self._measured = Improvement(mode, min_delta)
        self._reduced_at: list[int] = []

    def observe(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take what was measured at a step, by name; not what was measured earlier."""
        if self.metric not in metrics:
            return
        self._measured.update(metrics[self.metric])
        if self._measured.without >= self.patience:
            self._measured.without = 0
            self._reduced_at.append(step)

    def value(self, step: int, initial: Any, since: int | None = None) -> Any:
        """The value that holds for what follows a step (see `Schedule`)."""
        before = 0 if since is None else bisect_right(self._reduced_at, since)
        factor = self.factor ** (bisect_right(self._reduced_at, step) - before)
        return each(initial, lambda n: max(n * factor, min(n, self.lowest)))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"measured": self._measured.state_dict(), "reduced_at": list(self._reduced_at)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self._measured.load_state_dict(state["measured"])
        self._reduced_at = list(state["reduced_at"])
