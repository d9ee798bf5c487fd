"""``voxflow inspect``: what is in files, as a table, a page or a picture."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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
@click.option("--by-loss", is_flag=True, help="Show snapshots of the highest loss first.")
@click.option("--fast", is_flag=True, help="Read no voxels: no ranges, and no ids.")
def inspect(
    paths: tuple[str, ...],
    as_json: bool,
    html: str | None,
    png: str | None,
    by_loss: bool,
    fast: bool,
) -> None:
    """Show what is in files, of any format and origin, in folders of snapshots, and at URLs.

    A path in a file is given behind a colon: a.hdf:volumes/raw.
    """
    from voxflow.inspect import describe, highest_loss_first

    if html is not None or png is not None:
        _draw(paths, html, png)
        return
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
