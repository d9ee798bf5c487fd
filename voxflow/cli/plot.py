"""``voxflow plot``: curves of runs as pictures and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

__all__ = ["plot"]


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--out",
    type=click.Path(file_okay=False),
    help="Where the pictures go.  [default: RUN/plots; of several runs: plots]",
)
@click.option("--names", help="Which numbers, such as loss,validation.loss.  [default: all]")
@click.option("--over", type=click.Choice(["steps", "hours"]), default="steps", show_default=True)
@click.option("--csv", is_flag=True, help="Write tables of all events, too.")
@click.option(
    "--sma", type=click.IntRange(1), default=8, show_default=True, help="Mean of so many; 1: none."
)
@click.option(
    "--ema",
    type=click.FloatRange(0, 1, max_open=True),
    help="Exponential mean of this decay, in place of --sma.",
)
@click.option("--all", "everything", is_flag=True, help="Show what lies far from the rest, too.")
def plot(
    runs: tuple[str, ...],
    out: str | None,
    names: str | None,
    over: Any,
    csv: bool,
    sma: int,
    ema: float | None,
    everything: bool,
) -> None:
    """Draw the curves of each RUN, a run directory or its log; of several into one picture.

    Of one run, also which parts of its sources it has seen. A run
    that goes on meanwhile is not disturbed.
    """
    from voxflow.training.coverage_plot import plot_coverage
    from voxflow.training.covered import find_coverage
    from voxflow.training.curves import to_csv
    from voxflow.training.plots import plot_history

    labelled = _labelled(runs)
    folder = Path(out) if out else _own_folder(runs[0]) if len(runs) == 1 else Path("plots")
    chosen = None if names is None else [name.strip() for name in names.split(",")]
    try:
        one: Any = runs[0] if len(runs) == 1 else labelled
        written = plot_history(
            one, folder, chosen, over=over, autoscale=not everything, sma=sma, ema=ema
        )
        if len(runs) == 1 and chosen is None and find_coverage(runs[0]) is not None:
            written.append(plot_coverage(runs[0], folder / "coverage.png"))
        if csv:
            for label, run in labelled.items():
                name = "events" if len(runs) == 1 else label.replace("/", "-")
                written.append(folder / f"{name}.csv")
                to_csv(run, written[-1], chosen)
    except (ImportError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    except KeyError as error:
        raise click.UsageError(str(error.args[0])) from error
    for file in written:
        click.echo(str(file))


def _labelled(runs: tuple[str, ...]) -> dict[str, str]:
    """Runs by the shortest ends of their paths that differ."""
    paths = [Path(run).absolute() for run in runs]
    folders = [path if path.is_dir() else path.parent for path in paths]
    for length in range(1, max(len(folder.parts) for folder in folders) + 1):
        labels = ["/".join(folder.parts[-length:]) for folder in folders]
        if len(set(labels)) == len(set(folders)):
            break
    return dict(zip(labels, runs, strict=True))


def _own_folder(run: str) -> Path:
    path = Path(run)
    return (path if path.is_dir() else path.parent) / "plots"
