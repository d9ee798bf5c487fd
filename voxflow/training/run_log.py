"""What the house's loggers say while a run goes on, in a file of that run."""

from __future__ import annotations

import contextlib
import getpass
import logging
import socket
import sys
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["log_to"]

_current: ContextVar[Path | None] = ContextVar("_current", default=None)


class _File(logging.FileHandler):
    """A file that does not say of each line that the disk is full: the training says it once."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave a line out that cannot be written."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


@contextlib.contextmanager
def log_to(file: Path, device: str = "", level: int = logging.DEBUG) -> Iterator[None]:
    """Append to a file what is logged in here.

    Of two runs in two threads, each has in its file what its own thread logs. Threads that belong
    to neither are in both.

    Parameters
    ----------
    file
        The file.
    device
        What the first line says of the device.
    level
        From which level on.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "log.txt")
    >>> with log_to(file, "cpu"):
    ...     logging.getLogger("voxflow.training").info("begun")
    >>> file.read_text().splitlines()[-1].rpartition(" ")[2]
    'begun'
    """
    logger = logging.getLogger("voxflow")
    handler = _File(file, encoding="utf-8")
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: _current.get() in (None, file))
    before, token = logger.level, _current.set(file)
    logger.setLevel(min(logger.getEffectiveLevel(), level))
    logger.addHandler(handler)
    try:
        with open(file, "a", encoding="utf-8") as opened:
            opened.write(f"{_who()}, device {device or 'unknown'}, {time.strftime('%F %T %z')}\n")
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        _current.reset(token)
        handler.close()


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container whose user has no name
        return socket.gethostname()
