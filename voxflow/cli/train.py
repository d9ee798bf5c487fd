"""``voxflow train``: from a configuration to a trained network."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING

import click
from tqdm import tqdm

from voxflow.cli.config import FILE, KEYS, LENIENT, MORE
from voxflow.training.config import load_config
from voxflow.training.run_dir import NoRunDir, RunDirTaken

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["messages_above_the_line", "train"]


class _Above(logging.Handler):
    """Prints messages above the line that says how the training goes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        tqdm.write(self.format(record), file=sys.stderr)


@contextlib.contextmanager
def messages_above_the_line() -> Iterator[None]:
    """Messages are printed, above the line that says how a training goes."""
    root, handler = logging.getLogger(), _Above(logging.INFO)
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@click.command()
@FILE
@KEYS
@MORE
@LENIENT
@click.option("--resume", is_flag=True, help="Go on with the run in the run directory.")
@click.option(
    "--run-dir",
    type=click.Path(file_okay=False),
    help="The run directory.  [default: run.folder/name]",
)
@click.option("--device", help="The same as device=..., such as cpu or cuda:1.")
def train(
    file: str,
    assignments: tuple[str, ...],
    more: tuple[str, ...],
    lenient: bool,
    resume: bool,
    run_dir: str | None,
    device: str | None,
) -> None:
    """Train as FILE says, with options changed by KEY=VALUE, such as optimizer.lr=0.01."""
    assignments += () if device is None else (f"device={device}",)
    settings = load_config(file, assignments, more=more, lenient=lenient)
    # Not before: mistakes are told at once, and torch takes its time.
    import voxflow.training

    try:
        with messages_above_the_line():
            report = voxflow.training.train(
                settings, resume=resume, run_dir=run_dir, scripts=[file, *more]
            )
    except RunDirTaken as error:
        hint = "go on with --resume, or begin anew with run.exists=new, name=... or --run-dir"
        raise click.UsageError(f"{error} ({hint})") from error
    except NoRunDir as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{report.step} steps, {report.active_seconds:.0f} s: {report.reason}")
