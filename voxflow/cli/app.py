"""All commands, and what errors look like."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import click

from voxflow.cli.attach import attach
from voxflow.cli.cells import predict
from voxflow.cli.config import config
from voxflow.cli.evaluate import evaluate
from voxflow.cli.inspect import inspect
from voxflow.cli.launch import launch
from voxflow.cli.model import model
from voxflow.cli.plot import plot
from voxflow.cli.segment import segment
from voxflow.cli.train import train
from voxflow.cli.tune import tune
from voxflow.cli.view import view
from voxflow.training.config import ConfigError, ConfigWarning
from voxflow.version_info import version

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["app"]

INTERRUPTED = 130


class _App(click.Group):
    """Says mistakes of a configuration without a traceback, and warnings without their place."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        with _plain_warnings():
            try:
                return super().invoke(context)
            except ConfigError as error:
                click.echo(str(error), err=True)
                context.exit(2)
            except KeyboardInterrupt:
                click.echo("interrupted", err=True)
                context.exit(INTERRUPTED)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", ConfigWarning)
        show = warnings.showwarning

        def plain(message: Any, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, ConfigWarning):
                click.echo(f"warning: {message}", err=True)
            else:
                show(message, category, *place, **options)

        warnings.showwarning = plain
        yield


@click.group(cls=_App, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(str(version), prog_name="voxflow")
def app() -> None:
    """Machine learning on large n-d images."""


app.add_command(attach)
app.add_command(config)
app.add_command(launch)
app.add_command(model)
app.add_command(plot)
app.add_command(evaluate)
app.add_command(inspect)
app.add_command(segment)
app.add_command(predict)
app.add_command(train)
app.add_command(view)
app.add_command(tune)
