"""``voxflow attach``: talk to a training that runs."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

import click

from voxflow.training.attach import Attached, NotRunning, Reply, attach_to

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["attach"]

NOT_RUNNING = 3
TIMED_OUT = 4

_LEAVE = ("q", "quit", "exit", "detach")
_PATIENCE = 1.0  # seconds without an answer, until it is said why


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--timeout", type=float, help="Seconds to wait for an answer.  [default: as long as it takes]"
)
@click.pass_context
def attach(
    context: click.Context, run: str, command: tuple[str, ...], timeout: float | None
) -> None:
    """Say COMMAND to the training in the directory RUN, or open a prompt.

    Commands are done between two steps; "help" lists them. The exit status is 0 if it was done, 1
    if not, 3 if no training runs there, 4 if there was no answer in time.
    """
    try:
        with attach_to(run, timeout) as training:
            if command:
                context.exit(0 if _say(training, " ".join(command)).ok else 1)
            _prompt(training)
    except NotRunning as error:
        click.echo(str(error), err=True)
        context.exit(NOT_RUNNING)
    except TimeoutError as error:
        click.echo(str(error), err=True)
        context.exit(TIMED_OUT)
    except PermissionError as error:
        raise click.UsageError(str(error)) from error


def _say(training: Attached, line: str) -> Reply:
    timers: list[threading.Timer] = []

    def waiting(doing: str) -> None:
        said = f"waiting: {doing}"
        timers.append(threading.Timer(_PATIENCE, click.echo, [said], {"err": True}))
        timers[-1].daemon = True
        timers[-1].start()

    try:
        reply = training.say(line, waiting)
    finally:
        for timer in timers:
            timer.cancel()
    if reply.needs_yes and sys.stdin.isatty() and click.confirm(f"{reply.text}. Really?"):
        return _say(training, f"{line} yes")
    if reply.text:
        click.echo(reply.text, err=not reply.ok)
    return reply


def _prompt(training: Attached) -> None:
    click.echo(f"attached: {training.state}, step {training.step}. help lists commands, q leaves")
    with _lines(training):
        while training.state != "ending":
            try:
                line = input(f"{training.state} {training.step}> ").strip()
            except (EOFError, KeyboardInterrupt):
                click.echo()
                break
            if line in _LEAVE:
                break
            if line:
                _say(training, line)


@contextlib.contextmanager
def _lines(training: Attached) -> Iterator[None]:
    """Let lines be edited, and names of commands completed, where the terminal can."""
    try:
        import readline
    except ImportError:
        yield
        return

    def complete(text: str, state: int) -> str | None:
        found = [name for name in training.commands if name.startswith(text)]
        return found[state] if state < len(found) else None

    before = readline.get_completer()
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before)
