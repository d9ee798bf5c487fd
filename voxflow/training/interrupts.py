"""What Ctrl-C means while a training runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

_STDERR = 2


def at_terminal() -> bool:
    """Whether somebody can be asked: input and output are a terminal, which is ours now."""
    try:
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            return False
        # A process in the background would be stopped if it read.
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (
        AttributeError,
        ValueError,
        OSError,
    ):  # closed, replaced, or no terminal of this session
        return False


class Interrupts:
    """Handles Ctrl-C for the time of a ``with`` block.

    The first one asks for something, the second says that it waits for it, the third breaks off as
    usual. A handler that somebody else has set stays, and so it is in other threads than the main
    one.

    Parameters
    ----------
    ask
        Called by the first; says what is going to happen. Handlers of signals may call it.
    waiting
        What the second says.
    """

    def __init__(self, ask: Callable[[], str], waiting: Callable[[], str]) -> None:
        self._ask = ask
        self._waiting = waiting
        self._count = 0
        self._handles = False

    @property
    def possible(self) -> bool:
        """Whether the signal can be handled here."""
        main = threading.current_thread() is threading.main_thread()
        return main and signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def __enter__(self) -> Self:
        if self.possible:
            self._count = 0
            signal.signal(signal.SIGINT, self._handle)
            self._handles = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._handles and signal.getsignal(signal.SIGINT) == self._handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._handles = False

    @contextmanager
    def as_usual(self) -> Iterator[None]:
        """Let Ctrl-C break off what runs, for the time of a block; afterwards, count anew."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _handle(self, number: int, frame: Any) -> None:
        self._count += 1
        if self._count == 1:
            _say(f"{self._ask()}; Ctrl-C twice more breaks off")
        elif self._count == 2:
            _say(f"{self._waiting()}; Ctrl-C once more breaks off")
        else:
            self.__exit__()
            raise KeyboardInterrupt


def _say(text: str) -> None:
    # Streams of Python may be in the midst of a write.
    with suppress(OSError):
        os.write(_STDERR, f"\n[voxflow] {text}\n".encode())
