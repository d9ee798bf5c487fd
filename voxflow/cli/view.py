"""``voxflow view``: files in neuroglancer."""

from __future__ import annotations

import threading

import click

__all__ = ["view"]


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--graph",
    "graphs",
    metavar="FILE",
    multiple=True,
    help="Show the graphs of this file, too, or the points of a text file (.csv). Repeatable.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Of the server.  [default: one that is free]",
)
def view(paths: tuple[str, ...], graphs: tuple[str, ...], port: int) -> None:
    """Show all arrays and graphs of files, of a run or at URLs in neuroglancer, until Ctrl-C.

    The link that is printed is for a browser on this machine. A path in a file is given behind a
    colon: a.hdf:volumes/raw.
    """
    from voxflow.inspect import view
    from voxflow.pipeline.engine.errors import VoxflowError

    try:
        shown = view(paths, graphs=graphs, port=port)
    except (VoxflowError, OSError, ValueError, ModuleNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    with shown:
        for note in shown.notes:
            click.echo(note, err=True)
        click.echo(shown.url)
        try:
            _wait()
        except KeyboardInterrupt:
            click.echo(err=True)


def _wait() -> None:
    """Wait until somebody interrupts."""
    threading.Event().wait()
