"""``voxflow train cells`` and ``voxflow predict cells``: for folders of 2D images."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click

from voxflow.cells.options import TILE, CellOptions, read_cell_options
from voxflow.cli.running import errors_of_runs, messages_above_the_line
from voxflow.training.config.options import level_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic.fields import FieldInfo

__all__ = ["predict", "train_cells"]

# clb has underscores in its options.
_SETTINGS = {"token_normalize_func": lambda word: word.replace("_", "-")}
_WEIGHTS = ("best-val-loss", "objects-iou", "boundaries-iou", "final")


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each of `CellOptions`; those that nobody gives are None."""
    for name, field in reversed(CellOptions.model_fields.items()):
        command = click.option(f"--{name.replace('_', '-')}", name, **_of(field))(command)
    return command


def _of(field: FieldInfo) -> dict[str, Any]:
    kind: Any = field.annotation
    text = field.description or ""
    if level_of(field) == "required":
        text += "  [required]"
    elif field.default is not None and kind is not bool:
        text += f"  [default: {field.default}]"
    if kind is bool:
        return {"is_flag": True, "default": None, "help": text}
    if get_origin(kind) is Literal:
        return {"type": click.Choice(get_args(kind)), "help": text}
    return {"type": kind if kind in (int, float) else str, "help": text}


@click.command(name="cells", context_settings=_SETTINGS)
@_options
@click.option(
    "--args-load-path",
    type=click.Path(exists=True, dir_okay=False),
    help="Options from this YAML file, of an earlier training or of clb; those given here win.",
)
@click.option("--resume", is_flag=True, help="Go on with the training of this model.")
def train_cells(args_load_path: str | None, resume: bool, **given: Any) -> None:
    """Train a network on folders of 2D images, in images/, and of their labels, in labels/.

    Labels are 0 for background, 1 for what is too hard to annotate, and another number for each
    object. The weights are written as MODEL, everything else beside it.
    """
    options = read_cell_options(args_load_path, {n: v for n, v in given.items() if v is not None})
    if (
        args_load_path
        and not resume
        and os.path.realpath(args_load_path) == os.path.realpath(options.yaml)
    ):
        raise click.UsageError(
            f"{args_load_path} is where the options of {options.model} are written: go on with "
            "--resume, or give another --model, or the file another name"
        )
    # Not before: mistakes are told at once, and torch takes its time.
    import voxflow.cells

    hint = "go on with --resume, or begin anew with another --model"
    with _errors_of_files(), errors_of_runs(hint), messages_above_the_line():
        report = voxflow.cells.train_cells(options, resume=resume)
    click.echo(f"{report.step} steps, {report.active_seconds:.0f} s: {report.reason}")
    click.echo(f"weights: {options.model}; options: {options.yaml}")


@click.group()
def predict() -> None:
    """Predict with a trained network."""


@predict.command(name="cells", context_settings=_SETTINGS)
@click.option(
    "--config",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="The YAML file beside the model, which says all that is to be known of it.",
)
@click.option(
    "--test-data", required=True, help="Folder of images, or with images/; several are joined by +."
)
@click.option("--output", type=click.Path(file_okay=False), help="Where to; without it, nowhere.")
@click.option("--plot", is_flag=True, help="Draw each image with its prediction, into the output.")
@click.option("--architecture", help="Has to be that of the config, if it is given.")
@click.option("--channels", type=int, help="Likewise.")
@click.option(
    "--weights",
    type=click.Choice(_WEIGHTS),
    default=_WEIGHTS[0],
    show_default=True,
    help="Those that were best in validation, or the last ones.",
)
@click.option(
    "--method",
    type=click.Choice(("components", "watershed")),
    default="components",
    show_default=True,
    help="How objects that touch come apart: see segment_maps.",
)
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Inside: above this.")
@click.option(
    "--min-size",
    type=int,
    default=10,
    show_default=True,
    help="Objects of fewer pixels, without their boundary, are left out.",
)
@click.option(
    "--grow",
    type=float,
    default=2.0,
    show_default=True,
    help="By how many pixels objects grow back over their boundary.",
)
@click.option(
    "--tile",
    type=click.IntRange(1),
    default=TILE,
    show_default=True,
    help="Larger images go through the network in tiles of so many pixels along each axis.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, mps or cuda:N.")
def predict_cells(
    config: str,
    test_data: str,
    output: str | None,
    plot: bool,
    architecture: str | None,
    channels: int | None,
    **how: Any,
) -> None:
    """Predict maps of cells and of their boundaries, and instances, of each image of a folder.

    They are written into OUTPUT, under the name and in the size of the image. Nothing is compared
    with labels: voxflow evaluate does that.
    """
    options = read_cell_options(config)
    for name, value in {"architecture": architecture, "channels": channels}.items():
        if value not in (None, getattr(options, name)):
            raise click.UsageError(
                f"--{name} {value} is not that of {config}, {getattr(options, name)}; leave it out"
            )
    if plot and output is None:
        raise click.UsageError("--plot writes figures into --output, which is not given")
    import voxflow.cells

    with _errors_of_files():
        distinct = output is not None
        made = voxflow.cells.predict_cells(options, test_data, distinct=distinct, **how)
        if output is None:
            count = sum(1 for _ in made)
            click.echo(f"{count} images were predicted; nothing is written without --output")
            return
        files = list(voxflow.cells.save_cells(made, output, plot=plot))
    click.echo(f"{len(files)} images were predicted, into {output}")


@contextmanager
def _errors_of_files() -> Iterator[None]:
    """What is wrong with files is said as it is."""
    from voxflow.stores import StoreError

    try:
        yield
    except (FileNotFoundError, FileExistsError, ImportError, StoreError, ValueError) as error:
        notes = getattr(error, "__notes__", [])
        raise click.ClickException("\n".join([str(error), *notes])) from error
