"""What is done beside a training, one after another, in a thread of its own."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Aside"]


class Aside:
    """Calls functions in the order in which they are given, in a thread.

    What a function raises is handed to nobody: it is to see to that itself.

    Parameters
    ----------
    waiting
        How many may wait. With more, `do` waits for the oldest, so that memory does not fill up
        where they take longer than what is between them.

    Examples
    --------
    >>> found = []
    >>> aside = Aside()
    >>> aside.do(found.append, 1)
    >>> aside.do(found.append, 2)
    >>> aside.close()
    >>> found
    [1, 2]
    """

    def __init__(self, waiting: int = 4) -> None:
        self._waiting = waiting
        self._begun: deque[Future[Any]] = deque()
        self._thread: ThreadPoolExecutor | None = None

    def do(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function later; return at once."""
        while self._begun and (self._begun[0].done() or len(self._begun) > self._waiting):
            self._begun.popleft().exception()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._begun.append(self._thread.submit(function, *args))

    def wait(self) -> None:
        """Return when all is done that was given so far."""
        while self._begun:
            self._begun.popleft().exception()

    def close(self) -> None:
        """Do what waits, and end the thread. The next `do` begins another."""
        self.wait()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None
