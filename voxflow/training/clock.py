"""The time that a training took, without the time that somebody looked at it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Clock:
    """Counts active seconds: those since it was made, without pauses.

    Active seconds go on where they were after a resume (`load_state_dict`). They do not count
    while the machine is suspended, and do not jump when its time of day is set.

    Parameters
    ----------
    monotonic
        Seconds since any moment, never backwards.
    wall
        Seconds since 1970.

    Examples
    --------
    >>> seconds = iter([0.0, 10.0, 15.0, 21.0])
    >>> clock = Clock(monotonic=lambda: next(seconds))
    >>> with clock.paused():
    ...     pass  # from 10 s to 15 s
    >>> clock.active_seconds
    16.0
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._pauses = 0
        self._counted = 0.0
        self._began = self._since = monotonic()

    @property
    def active_seconds(self) -> float:
        """Seconds without pauses, of this process and of those that it goes on from."""
        with self._lock:
            return self._active()

    @property
    def wall_seconds(self) -> float:
        """Seconds since the clock was made, with pauses, of this process alone."""
        return self._monotonic() - self._began

    def now(self) -> float:
        """The time of day: seconds since 1970."""
        return self._wall()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time of a ``with`` block. Pauses may overlap, also from threads."""
        with self._lock:
            self._counted = self._active()
            self._pauses += 1
        try:
            yield
        finally:
            with self._lock:
                self._pauses -= 1
                self._since = self._monotonic()

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"active_seconds": self.active_seconds}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from the active seconds of a checkpoint."""
        with self._lock:
            self._counted = float(state["active_seconds"])
            self._since = self._monotonic()

    def _active(self) -> float:
        return self._counted if self._pauses else self._counted + self._monotonic() - self._since
