"""``voxflow model``: look at the network of a configuration, without any data."""

from __future__ import annotations

import click

from voxflow.cli.config import FILE, KEYS, LENIENT
from voxflow.training.config import load_config

__all__ = ["model"]


@click.command()
@FILE
@KEYS
@LENIENT
@click.option("--channels", type=int, default=1, help="Channels of its input.  [default: 1]")
@click.option("--dims", type=click.IntRange(1, 3), help="How many spatial axes it has.")
def model(
    file: str, assignments: tuple[str, ...], lenient: bool, channels: int, dims: int | None
) -> None:
    """Build the network that FILE names; print its parameters, what sizes it takes and gives."""
    settings = load_config(file, assignments, lenient=lenient)
    import voxflow.training

    click.echo(voxflow.training.describe_model(settings, channels, dims))
