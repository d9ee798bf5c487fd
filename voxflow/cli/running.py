"""What commands that train have in common."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from voxflow.training.run_dir import NoRunDir, RunDirTaken

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["errors_of_runs", "messages_above_the_line"]


class _Above(logging.Handler):
    """Prints messages above the line that says how the training goes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def messages_above_the_line() -> Iterator[None]:
    """Print what is logged, and leave the line that says how the training goes below it."""
    root, handler = logging.getLogger(), _Above(logging.INFO)
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextlib.contextmanager
def errors_of_runs(hint: str) -> Iterator[None]:
    """A run directory that is taken, or not there, is a mistake of who called."""
    try:
        yield
    except RunDirTaken as error:
        raise click.UsageError(f"{error} ({hint})") from error
    except NoRunDir as error:
        raise click.UsageError(str(error)) from error
