"""``voxflow train``: from a configuration to a trained network."""

from __future__ import annotations

from typing import Any

import click

from voxflow.cli.cells import train_cells
from voxflow.cli.config import FILE, KEYS, LENIENT, MORE
from voxflow.cli.running import errors_of_runs, messages_above_the_line
from voxflow.training.config import load_config

__all__ = ["train"]


class _Train(click.Command):
    """Trains as a file says; the word cells is another command, and ./cells a file."""

    def make_context(
        self, info_name: str | None, args: list[str], *rest: Any, **extra: Any
    ) -> click.Context:
        """Take the command that is meant."""
        if args[:1] == [train_cells.name]:
            return train_cells.make_context(f"{info_name} {args[0]}", args[1:], *rest, **extra)
        return super().make_context(info_name, args, *rest, **extra)


@click.command(
    cls=_Train, epilog="voxflow train cells needs no FILE: see voxflow train cells --help."
)
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

    hint = "go on with --resume, or begin anew with run.exists=new, name=... or --run-dir"
    with errors_of_runs(hint), messages_above_the_line():
        report = voxflow.training.train(
            settings, resume=resume, run_dir=run_dir, scripts=[file, *more]
        )
    click.echo(f"{report.step} steps, {report.active_seconds:.0f} s: {report.reason}")
