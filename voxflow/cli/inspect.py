"""``voxflow inspect``: what is in files, as a table, a page or a picture."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.inspect import FileReport

__all__ = ["inspect"]

_PIPED = 160  # columns


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True),
    help="Write a page that shows all arrays, for a browser, without a server.",
)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, writable=True),
    help="Write a picture of the middle of every array; of a run, also of where it has looked.",
)
@click.option(
    "--batches",
    metavar="N",
    type=click.IntRange(min=1),
    help="Of a configuration, the first N batches of its training; nothing is trained. "
    "More words are options that are changed: KEY=VALUE.",
)
@click.option("--by-loss", is_flag=True, help="Show snapshots of the highest loss first.")
@click.option("--fast", is_flag=True, help="Read no voxels: no ranges, and no ids.")
def inspect(
    paths: tuple[str, ...],
    as_json: bool,
    html: str | None,
    png: str | None,
    batches: int | None,
    by_loss: bool,
    fast: bool,
) -> None:
    """Show what is in files, of any format and origin, in folders of snapshots, and at URLs.

    A path in a file is given behind a colon: a.hdf:volumes/raw.
    """
    with nullcontext(paths) if batches is None else _written(paths, batches) as found:
        if html is not None or png is not None:
            _draw(found, html, png)
        else:
            _tell(found, as_json, by_loss, fast)


@contextmanager
def _written(words: tuple[str, ...], count: int) -> Iterator[tuple[str, ...]]:
    """The folder in which batches of a configuration are, as long as they are looked at."""
    from voxflow.nodes.sinks.snapshot_file import write_snapshot
    from voxflow.training import first_batches
    from voxflow.training.config import load_config

    file, *assignments = words
    if not Path(file).is_file() or any("=" not in word for word in assignments):
        raise click.UsageError("--batches takes one configuration, and KEY=VALUE")
    config = load_config(file, assignments).config
    with tempfile.TemporaryDirectory(prefix="voxflow-") as folder:
        for number, batch in enumerate(first_batches(config, count), 1):
            names = {key: str(key) for key, _ in batch.items()}
            path = Path(folder, config.name, f"batch-{number}.zarr")
            write_snapshot(path, batch, names, token=batch.token)
        yield (str(Path(folder, config.name)),)


def _tell(paths: tuple[str, ...], as_json: bool, by_loss: bool, fast: bool) -> None:
    from voxflow.inspect import describe, highest_loss_first

    reports = describe(paths, max_bytes=0 if fast else None)
    if by_loss:
        reports = highest_loss_first(reports)
    if as_json:
        click.echo(json.dumps([report.as_dict() for report in reports], indent=2))
    else:
        _print(reports)
    if all(report.error is not None for report in reports):
        raise SystemExit(1)


def _print(reports: list[FileReport]) -> None:
    try:
        from rich.console import Console
    except ModuleNotFoundError as error:
        raise click.ClickException(
            'the table needs rich: pip install "voxflow[inspect]", or take --json'
        ) from error
    from voxflow.inspect.table import print_reports

    # What is piped into a file or a pager is not folded to 80 columns.
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED
    print_reports(reports, Console(width=wide))


def _draw(paths: tuple[str, ...], html: str | None, png: str | None) -> None:
    from voxflow.inspect import write_page, write_sheet
    from voxflow.inspect.looked import write_coverage

    try:
        if html is not None:
            click.echo(write_page(paths, html))
        if png is not None:
            click.echo(write_sheet(paths, png))
            for picture in write_coverage(paths, png):
                click.echo(picture)
    except ModuleNotFoundError as error:
        said = str(error)
        remedy = "" if "pip install" in said else ': pip install "voxflow[inspect]"'
        raise click.ClickException(said + remedy) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error
