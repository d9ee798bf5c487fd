"""``voxflow tune``: from a configuration to the values it trains best with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from voxflow.cli.config import FILE, KEYS, LENIENT, MORE
from voxflow.cli.running import messages_above_the_line
from voxflow.training.config import load_config
from voxflow.training.tuning.parameters import parse_parameter
from voxflow.training.tuning.stages import BATCH, NotTunable, Stage, batch_stages, lr_stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.training.config import Settings
    from voxflow.training.tuning import Trial, TuneReport

__all__ = ["tune"]

_ALL = (
    FILE,
    KEYS,
    MORE,
    LENIENT,
    click.option("--metric", default="validation.loss", show_default=True, help="What decides."),
    click.option(
        "--direction",
        type=click.Choice(("min", "max")),
        default="min",
        show_default=True,
        help="Whether less or more of it is better.",
    ),
    click.option(
        "--folder",
        type=click.Path(file_okay=False),
        help="Where everything is written.  [default: run.folder/NAME-tune-KIND]",
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the values drawn."),
    click.option(
        "--prune/--no-prune",
        default=True,
        show_default=True,
        help="Whether trials that are worse than half of the others end early.",
    ),
    click.option(
        "--keep-all", is_flag=True, help="Keep checkpoints of all trials, not the best's."
    ),
)


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    for part in reversed(_ALL):
        function = part(function)
    return function


@click.group()
def tune() -> None:
    """Try values of options, and keep the best.

    The same command again goes on where it was; several at once share the trials.
    """


@tune.command("any")
@_common
@click.option(
    "--param",
    "params",
    multiple=True,
    required=True,
    metavar="KEY=VALUES",
    help="LOW..HIGH, LOW..HIGH:log or A,B,C; such as optimizer.lr=1e-5..1e-2:log.",
)
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="How many.")
def any_(params: tuple[str, ...], trials: int, **given: Any) -> None:
    """Tune any options of FILE, with others changed by KEY=VALUE."""
    space = dict(parse_parameter(text) for text in params)
    _tuned("any", lambda settings: [Stage(space, trials)], **given)


@tune.command()
@_common
@click.option("--low", type=float, default=1e-6, show_default=True, help="The least rate.")
@click.option("--high", type=float, default=1e-1, show_default=True, help="The greatest.")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    default=("20:10%", "10:50%", "5:100%"),
    show_default=True,
    metavar="TRIALS:LENGTH",
    help="Trials, and their steps, or a part of stop.steps; may be given again.",
)
def lr(low: float, high: float, stages: tuple[str, ...], **given: Any) -> None:
    """Tune the learning rate, coarsely first, and then ever more finely."""
    parsed = [_stage(text) for text in stages]
    _tuned("lr", lambda settings: lr_stages(settings.config, low, high, parsed), **given)


@tune.command()
@_common
@click.option("--sizes", default="2,4,8,16,32", show_default=True, help="What is tried.")
@click.option("--key", default=BATCH, show_default=True, help="The option that says the size.")
def batch(sizes: str, key: str, **given: Any) -> None:
    """Tune the size of batches, for as many samples each as FILE has in its steps."""
    try:
        counts = [int(size) for size in sizes.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--sizes are whole numbers, such as 2,4,8; got {sizes}") from error
    _tuned("batch", lambda settings: batch_stages(settings.config, counts, key), **given)


def _stage(text: str) -> tuple[int, int | str]:
    trials, colon, length = text.partition(":")
    number = length.removesuffix("%")
    if not colon or not trials.isdigit() or not number.isdigit():
        raise click.UsageError(f"--stage is TRIALS:LENGTH, such as 20:500 or 20:10%; got {text}")
    return int(trials), length if length.endswith("%") else int(length)


def _tuned(
    kind: str,
    stages: Callable[[Settings], list[Stage]],
    *,
    file: str,
    assignments: tuple[str, ...],
    more: tuple[str, ...],
    lenient: bool,
    metric: str,
    direction: str,
    folder: str | None,
    seed: int,
    prune: bool,
    keep_all: bool,
) -> None:
    def load(over: Any) -> Settings:
        return load_config(file, [*assignments, *over], more=more, lenient=lenient)

    settings = load(())
    config = settings.config
    where = Path(config.run.folder) / f"{config.name}-tune-{kind}" if folder is None else folder
    from voxflow.training import tuning
    from voxflow.training.tuning.study import load_optuna

    try:
        load_optuna()
    except ImportError as error:
        raise click.ClickException(str(error)) from error
    try:
        with messages_above_the_line():
            report = tuning.tune(
                load,
                stages(settings),
                where,
                metric=metric,
                mode=direction,  # type: ignore[arg-type]
                seed=seed,
                prune=prune,
                keep_all=keep_all,
                scripts=[file, *more],
            )
    except tuning.OtherStudy as error:
        raise click.UsageError(f"{error} (--folder)") from error
    except NotTunable as error:
        raise click.UsageError(str(error)) from error
    layers = [part for layer in more for part in ("--with", layer)]
    _finish(report, [file, *assignments, *layers], direction)


def _finish(report: TuneReport, given: list[str], direction: str) -> None:
    from voxflow.training.tuning.pictures import draw_tuning

    # What was found is in files: that tables or pictures cannot be made is no failure.
    try:
        _print(report, direction)
        for path in draw_tuning(report):
            click.echo(str(path))
    except ImportError as error:
        click.echo(f"warning: {error}", err=True)
    if report.interrupted is not None:
        raise click.ClickException(
            f"{report.interrupted}; the same command goes on with {report.folder}"
        )
    if report.best is None:
        raise click.ClickException(f"no trial has a value; see {report.folder / 'trials.csv'}")
    click.echo(shlex.join(["voxflow", "train", *given, "--with", str(report.best_file)]))


def _print(report: TuneReport, direction: str) -> None:
    try:
        from rich.console import Console
    except ImportError as error:
        raise ImportError('tables need rich: pip install "voxflow[tune]"') from error
    Console(highlight=False, soft_wrap=True).print(_table(report, direction))
    for trial in report.trials:
        if trial.state == "failed":
            click.echo(f"trial {trial.number} failed: {' '.join(trial.reason.split())}")


def _table(report: TuneReport, direction: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from voxflow.training.tuning.report import ranked, tuned

    keys = tuned(report.trials)
    staged = ["stage"] if len({trial.stage for trial in report.trials}) > 1 else []
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ["trial", *staged, "state", "steps", report.metric, *_short(keys)]:
        justify: Any = "left" if name == "state" else "right"
        table.add_column(Text(name), justify=justify, overflow="fold")
    for trial in ranked(report.trials, direction):
        best = report.best is not None and trial.number == report.best.number
        stage = [str(trial.stage + 1)] if staged else []
        cells = [str(trial.number), *stage, *_cells(trial, keys)]
        # Text, not markup: values may hold brackets.
        table.add_row(*map(Text, cells), style="bold green" if best else "")
    return table


def _short(keys: list[str]) -> list[str]:
    """The last parts of dotted keys, where they differ."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def _cells(trial: Trial, keys: list[str]) -> list[str]:
    from voxflow.training.config.settings import said

    values = [trial.values.get(key) for key in keys]
    return [
        trial.state,
        str(max(trial.found, default=0)),
        "-" if trial.value is None else f"{trial.value:.5g}",
        *(f"{value:.3g}" if isinstance(value, float) else said(value) for value in values),
    ]
