"""Whether a number that is measured again and again gets better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Improvement", "Mode"]

Mode = Literal["min", "max"]


class Improvement:
    """Keeps the best value of a number, and for how many values there was none better.

    Parameters
    ----------
    mode
        "min": smaller is better; "max": larger is.
    min_delta
        By how much a value has to be better than the best one to count.

    Raises
    ------
    ValueError
        If the mode is unknown, or `min_delta` is negative.

    Examples
    --------
    >>> loss = Improvement("min", min_delta=0.1)
    >>> [loss.update(value) for value in (1.0, 0.95, 0.8, 0.9)]
    [True, False, True, False]
    >>> loss.best, loss.without
    (0.8, 1)
    """

    def __init__(self, mode: Mode = "min", min_delta: float = 0.0) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode has to be 'min' or 'max', got {mode!r}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta has to be 0 or more, got {min_delta}")
        self.mode = mode
        self.min_delta = min_delta
        self.best: float | None = None
        self.without = 0

    def update(self, value: float) -> bool:
        """Take the next value. One that is not finite is no improvement.

        Returns
        -------
        bool
            Whether it is better than all before; the first one is.
        """
        value = float(value)
        gain = math.inf
        if self.best is not None:
            gain = value - self.best if self.mode == "max" else self.best - value
        if math.isfinite(value) and gain > self.min_delta:
            self.best, self.without = value, 0
            return True
        self.without += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"best": self.best, "without": self.without}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.best, self.without = state["best"], state["without"]
