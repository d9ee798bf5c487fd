"""The last few results of a costly computation."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Remembered:
    """Results by key; the oldest go first. They travel to other processes.

    Two threads that ask for one key at the same time compute it once.

    Parameters
    ----------
    size
        How many results are kept.

    Examples
    --------
    >>> squares = Remembered()
    >>> squares.get(3, lambda: 9), squares.get(3, lambda: 0)
    (9, 9)
    """

    def __init__(self, size: int = 8) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._results: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of a key, made if it is not there."""
        with self._lock:
            if key not in self._results:
                self._results[key] = make()
                if len(self._results) > self._size:
                    del self._results[next(iter(self._results))]
            found: T = self._results[key]
            return found

    def __reduce__(self) -> tuple[Any, ...]:
        with self._lock:
            return _with, (self._size, dict(self._results))


def _with(size: int, results: dict[Hashable, Any]) -> Remembered:
    remembered = Remembered(size)
    remembered._results = results
    return remembered
