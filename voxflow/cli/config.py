"""``voxflow config``: look at a configuration before anything heavy begins."""

from __future__ import annotations

import json

import click

from voxflow.training.config import Settings, load_config, read_elektronn
from voxflow.training.config.schema import Config
from voxflow.training.config.settings import explain as explained
from voxflow.training.config.settings import said
from voxflow.training.config.text import write_yaml

__all__ = ["FILE", "KEYS", "LENIENT", "MORE", "config"]

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False))
KEYS = click.argument("assignments", metavar="[KEY=VALUE]...", nargs=-1)
MORE = click.option(
    "--with",
    "more",
    type=click.Path(exists=True, dir_okay=False),
    multiple=True,
    help="A file on top of FILE, such as best.yaml of a tuning; may be given again.",
)
LENIENT = click.option(
    "--lenient", is_flag=True, help="Warn of keys that are not known, and go on without them."
)


@click.group()
def config() -> None:
    """Show, explain, check and convert configurations."""


@config.command()
@FILE
@KEYS
@MORE
@LENIENT
@click.option("--yaml", "as_yaml", is_flag=True, help="As a file that reproduces the run.")
def show(
    file: str, assignments: tuple[str, ...], more: tuple[str, ...], lenient: bool, as_yaml: bool
) -> None:
    """Print every option of FILE, its value, and where that is from."""
    settings = load_config(file, assignments, more=more, lenient=lenient)
    if as_yaml:
        click.echo(settings.dump(), nl=False)
        return
    for key, value, origin in settings.values():
        click.echo(f"{key} = {said(value)}{_dimmed(origin)}")


def _dimmed(origin: str) -> str:
    return "" if origin == "default" else click.style(f"  # {origin}", dim=True)


@config.command()
@click.argument("key")
@click.argument("file", type=click.Path(exists=True, dir_okay=False), required=False)
@KEYS
def explain(key: str, file: str | None, assignments: tuple[str, ...]) -> None:
    """Say what the option KEY means, and what it is in FILE."""
    settings: Settings | None = load_config(file, assignments) if file else None
    try:
        click.echo(explained(key, settings))
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from error


@config.command()
@FILE
@KEYS
@LENIENT
def check(file: str, assignments: tuple[str, ...], lenient: bool) -> None:
    """Say all that is wrong with FILE, a line for each mistake, without reading any data."""
    load_config(file, assignments, lenient=lenient)
    click.echo(f"{file} is right")


@config.command()
def schema() -> None:
    """Print the JSON schema of configurations, for editors."""
    click.echo(json.dumps(Config.model_json_schema(), indent=2))


@config.command()
@FILE
def convert(file: str) -> None:
    """Print what can be taken over from FILE, of ELEKTRONN, ELEKTRONN2 or clb."""
    values, notes = read_elektronn(file)
    for note in notes:
        click.echo(f"# {note}")
    click.echo(write_yaml(values), nl=False)
