"""Who has which task, and results in the order of their submission."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Outcome = Callable[[], Any]
"""Called by the consumer: returns the result, or raises the task's error."""


class Ledger:
    """The order book of a pool; safe to use from any thread.

    Tasks are taken in order of submission, and only while fewer than ``ahead`` of them are in
    work or wait to be delivered. The oldest undelivered task has always been taken first, so
    the bound cannot lock the pool.

    Parameters
    ----------
    ahead : int
    on_room : callable
        Called, without a lock held, when there may be a task to take.

    Examples
    --------
    >>> ledger = Ledger(ahead=2, on_room=lambda: None)
    >>> for task in "abc":
    ...     ledger.add(task)
    >>> ledger.take(), ledger.take(), ledger.take()
    ((0, 'a'), (1, 'b'), None)
    >>> ledger.finish(1, lambda: "B")
    >>> ledger.finish(0, lambda: "A")
    >>> ledger.result(), ledger.take()
    ('A', (2, 'c'))
    """

    def __init__(self, ahead: int, on_room: Callable[[], None]) -> None:
        self._ahead = ahead
        self._on_room = on_room
        self._cond = threading.Condition()
        self._one_consumer = threading.Lock()
        self._waiting: deque[Any] = deque()
        self._done: dict[int, Outcome] = {}
        self._submitted = self._taken = self._delivered = 0
        self._error: BaseException | None = None
        self._closed = False

    @property
    def pending(self) -> int:
        """Tasks submitted whose result was not yet delivered."""
        return self._submitted - self._delivered

    @property
    def error(self) -> BaseException | None:
        """The error that ended the pool."""
        return self._error

    def add(self, task: Any) -> None:
        """Append a task."""
        with self._cond:
            self._check_open()
            self._waiting.append(task)
            self._submitted += 1
            self._cond.notify_all()
        self._on_room()

    def take(self, *, wait: bool = False) -> tuple[int, Any] | None:
        """Return the next (number, task); None when there is none, or the ledger was closed."""
        with self._cond:
            while not self._closed:
                if self._waiting and self._taken - self._delivered < self._ahead:
                    self._taken += 1
                    return self._taken - 1, self._waiting.popleft()
                if not wait:
                    return None
                self._cond.wait()
            return None

    def coming(self, place: int) -> Any:
        """The task that is taken after so many others, if it is there; else None."""
        with self._cond:
            return self._waiting[place] if place < len(self._waiting) else None

    def discard(self) -> int:
        """Drop the tasks that nobody has taken yet; return how many: the last that were added."""
        with self._cond:
            count = len(self._waiting)
            self._waiting.clear()
            self._submitted -= count
            return count

    def finish(self, index: int, outcome: Outcome) -> None:
        """Put down the outcome of a task."""
        with self._cond:
            self._done[index] = outcome
            self._cond.notify_all()

    def fail(self, error: BaseException) -> None:
        """End everything with an error, which every later call raises."""
        with self._cond:
            self._error = self._error or error
        self.close()

    def close(self) -> None:
        """Take no more tasks, deliver no more results."""
        with self._cond:
            self._closed = True
            self._waiting.clear()
            self._done.clear()
            self._cond.notify_all()

    def result(self) -> Any:
        """Wait for the next outcome in order, and return or raise it."""
        with self._one_consumer:
            with self._cond:
                self._check_open()
                if self._delivered == self._submitted:
                    raise RuntimeError("No result is pending: submit a task before asking.")
                while self._delivered not in self._done:
                    self._cond.wait()
                    self._check_open()
                outcome = self._done.pop(self._delivered)
                self._delivered += 1
                self._cond.notify_all()
            self._on_room()
        return outcome()

    def _check_open(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self._closed:
            raise RuntimeError("The worker pool has been stopped; make a new one.")
