"""What has to be over before a node from outside does its work.

voxflow's own nodes make new arrays and read nothing but datasets, so whoever drives a pipeline may
still be busy with one batch while they make the next one. Nodes that were written elsewhere may
count on it that one batch is done with before the next one comes to them: they use a buffer again,
or look into the file that the batch before was written to.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FinishedFirst", "finish_before"]


class _Thread(threading.local):
    finish: Callable[[], None] | None = None


_thread = _Thread()


class FinishedFirst:
    """Has something called before any node from outside does its work in this thread; a context.

    Parameters
    ----------
    finish
        It raises nothing; None: nothing is called.

    Examples
    --------
    >>> with FinishedFirst(lambda: print("it is over")):
    ...     finish_before(True)
    it is over
    """

    # A class, as one that is made of a generator takes four times as long, for every block.

    def __init__(self, finish: Callable[[], None] | None) -> None:
        self._finish = finish

    def __enter__(self) -> None:
        self._before, _thread.finish = _thread.finish, self._finish

    def __exit__(self, *raised: object) -> None:
        _thread.finish = self._before


def finish_before(foreign: bool) -> None:
    """Call what has to be called before a node does its work, if it is `foreign`."""
    if foreign and _thread.finish is not None:
        _thread.finish()
