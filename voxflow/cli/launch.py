"""``voxflow launch``: a list of runs, here and on other machines."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from voxflow.cli.running import messages_above_the_line
from voxflow.training.launching.launch import launch as launch_all
from voxflow.training.launching.states import States
from voxflow.training.launching.tasks import TaskList, load_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.training.launching import Outcome

__all__ = ["launch"]

INTERRUPTED = 130


@click.command()
@click.argument("tasks", metavar="TASKS", type=click.Path(exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what would be started, and start nothing.")
def launch(tasks: str, dry_run: bool) -> None:
    """Run the tasks that are listed in TASKS, and are not done yet.

    The exit status is 1 if one has failed, or no place for it was reached.
    """
    listed = load_tasks(tasks)
    try:
        if dry_run:
            _dry(listed)
            return
        with messages_above_the_line():
            outcomes = launch_all(listed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _print(outcomes)
    logs = {task.name: States(listed.folder).log(task) for task in listed.tasks}
    for outcome in outcomes:
        if outcome.state == "failed":
            click.echo(f"{outcome.task} failed: see {logs[outcome.task]}")
        elif outcome.state == "waiting":
            click.echo(f"{outcome.task} is still to be run: the same command goes on")
    states = {outcome.state for outcome in outcomes}
    if "interrupted" in states:
        raise click.exceptions.Exit(INTERRUPTED)
    if states & {"failed", "waiting"}:
        raise click.exceptions.Exit(1)


def _dry(listed: TaskList) -> None:
    states = States(listed.folder)
    for task in listed.tasks:
        found = states.read(task)
        done = found is not None and found["state"] == "done"
        words = "is done" if done else shlex.join(task.command)
        click.echo(f"{task.name}: {words}")


def _print(outcomes: Sequence[Outcome]) -> None:
    try:
        from rich.console import Console
    except ImportError:
        for outcome in outcomes:
            click.echo(" ".join(_cells(outcome)))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("task", "state", "place", "seconds"):
        justify: Any = "right" if name == "seconds" else "left"
        table.add_column(name, justify=justify, overflow="fold")
    styles = {"failed": "red", "interrupted": "yellow"}
    for outcome in outcomes:
        table.add_row(*map(Text, _cells(outcome)), style=styles.get(outcome.state, ""))
    Console(highlight=False, soft_wrap=True).print(table)


def _cells(outcome: Outcome) -> list[str]:
    words = f"{outcome.state} before" if outcome.earlier else outcome.state
    code = f" ({outcome.code})" if outcome.state == "failed" and outcome.code is not None else ""
    seconds = "" if outcome.seconds is None else f"{outcome.seconds:.0f}"
    return [outcome.task, words + code, outcome.place, seconds]
