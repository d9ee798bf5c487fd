"""``voxflow evaluate``: what a segmentation, or a map of scores, is worth."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.evaluation import Evaluation, ImagesEvaluation, ScoreEvaluation, Sweep
    from voxflow.pipeline.geometry import Roi
    from voxflow.training.run_evaluation import RunEvaluation

    Compared = Evaluation | ScoreEvaluation | Sweep
    Found = Compared | ImagesEvaluation | RunEvaluation

__all__ = ["evaluate"]

LOWER = ("voi_split", "voi_merge", "voi", "arand", "cremi_score")
EACH = {
    "average_precision@0.5": "AP@0.5",
    "f1@0.5": "F1@0.5",
    "panoptic_quality": "PQ",
    "voi": "VOI",
    "objects_truth": "objects",
    "objects_found": "found",
}
_NOT_OF_A_RUN = ("images", "mask", "ignore", "region", "scores", "channel", "sweep", "png")
SWEPT = {
    "voi_split": "split",
    "voi_merge": "merge",
    "voi": "VOI",
    "arand": "ARAND",
    "f1@0.5": "F1@0.5",
    "panoptic_quality": "PQ",
    "objects_found": "objects",
}


@click.command()
@click.argument("truth", metavar="GT", required=False)
@click.argument("found", metavar="PRED", required=False)
@click.option("--run", metavar="DIR", help="In place of GT and PRED: all images of a training.")
@click.option("--checkpoint", help="With --run: a file or a name.  [default: the newest]")
@click.option("--mask", help="A dataset: where it is 0, voxels do not count.")
@click.option(
    "--ignore", type=int, multiple=True, help="An id of GT that says nothing; repeatable."
)
@click.option(
    "--background",
    type=click.Choice(["ignore", "object", "singletons"]),
    default="ignore",
    show_default=True,
    help="What id 0 is to VOI and Rand.",
)
@click.option("--region", help="Only this part of the world: BEGIN:END of each axis, with commas.")
@click.option("--scores", is_flag=True, help="PRED is a map of scores, 0 to 1, or affinities.")
@click.option("--channel", type=int, multiple=True, help="With --scores: which. Repeatable.")
@click.option(
    "--threshold", type=float, help="With --scores, --run: where to count.  [default: the best]"
)
@click.option(
    "--sweep",
    metavar="threshold=BEGIN:END:STEP",
    help="PRED is a map of scores or affinities: segment it at each threshold.",
)
@click.option("--images", is_flag=True, help="GT and PRED are folders of 2D images; the mean.")
@click.option("--worst", default=5, show_default=True, help="How many splits and merges to list.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write this; - prints.")
@click.option("--png", type=click.Path(dir_okay=False), help="Draw this.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def evaluate(truth: str | None, found: str | None, **options: Any) -> None:
    """Compare PRED with GT in the region of the world that both cover.

    Both are FILE or FILE:DATASET, of any format. Without --scores and --sweep they are labels.

    With --run, the images of a training and of its validation are predicted and compared with their
    labels, at the threshold that is best for those of the training.
    """
    kinds = [f"--{name}" for name in ("scores", "sweep", "images") if options[name]]
    if len(kinds) > 1:
        raise click.UsageError(f"{' and '.join(kinds)} exclude each other")
    unused = [name for name in ("mask", "region", "png") if options["images"] and options[name]]
    if unused:
        raise click.UsageError(f"--{unused[0]} is not for --images")
    if (truth is None) != (options["run"] is not None) or (truth is None) != (found is None):
        raise click.UsageError("give GT and PRED, or --run DIR")
    from voxflow.stores.names import split_name

    with _errors_without_traceback():
        if truth is None or found is None:
            result: Found = _compare_run(options)
        elif options["images"]:
            result = _of_images(truth, found, options)
        else:
            result = _compare(split_name(truth), split_name(found), options)
        if options["json_file"] == "-":
            click.echo(json.dumps(result.to_json(), indent=2))
        else:
            _print(result)
        if options["json_file"] not in (None, "-"):
            Path(options["json_file"]).write_text(json.dumps(result.to_json(), indent=2) + "\n")
        if options["png"]:
            from voxflow.evaluation import plot_evaluation

            plot_evaluation(cast("Compared", result), options["png"])  # of a run there is none


@contextmanager
def _errors_without_traceback() -> Iterator[None]:
    """What is wrong with the files is said as it is."""
    from voxflow.stores import StoreError

    try:
        yield
    except (OSError, ImportError, MemoryError, StoreError, TypeError, ValueError) as error:
        notes = getattr(error, "__notes__", [])
        raise click.ClickException("\n".join([str(error), *notes])) from error


def parse_sweep(text: str) -> list[float]:
    """Take apart ``threshold=BEGIN:END:STEP``.

    >>> parse_sweep("threshold=0.2:0.8:0.3")
    [0.2, 0.5, 0.8]
    """
    from voxflow.evaluation.scores import thresholds_between

    name, _, numbers = text.partition("=")
    try:
        begin, end, step = map(float, numbers.split(":"))
        if name != "threshold":
            raise ValueError("only the threshold can be swept")
        return list(thresholds_between(begin, end, step))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not like threshold=0.1:0.9:0.1 ({error})", param_hint="--sweep"
        ) from error


def parse_region(text: str) -> Roi:
    """Take apart ``BEGIN:END,BEGIN:END``, in world units.

    >>> parse_region("0:400,9.8:98")
    [0:400, 9.8:98] (400, 88.2)
    """
    from voxflow.pipeline.geometry import Coordinate, Roi

    try:
        sides = [part.split(":") for part in text.split(",")]
        begin, end = (Coordinate(map(float, side)) for side in zip(*sides, strict=True))
        return Roi(begin, end - begin)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not like 0:400,0:1000,0:1000", param_hint="--region"
        ) from error


def _compare(truth: Any, found: Any, options: dict[str, Any]) -> Found:
    from voxflow import evaluation
    from voxflow.stores.names import split_name

    common = {
        "mask": None if options["mask"] is None else split_name(options["mask"]),
        "ignore": options["ignore"],
        "region": None if options["region"] is None else parse_region(options["region"]),
        "progress": not options["quiet"],
    }
    if options["scores"]:
        return evaluation.evaluate_scores(
            truth, found, channels=options["channel"] or None, threshold=options["threshold"],
            **common,
        )  # fmt: skip
    common["background"] = options["background"]
    if options["sweep"]:
        return evaluation.sweep(truth, found, parse_sweep(options["sweep"]), **common)
    return evaluation.evaluate(truth, found, worst=options["worst"], **common)


def _of_images(truth: str, found: str, options: dict[str, Any]) -> ImagesEvaluation:
    from voxflow.evaluation import evaluate_images

    return evaluate_images(truth, found, ignore=options["ignore"], background=options["background"])


def _compare_run(options: dict[str, Any]) -> RunEvaluation:
    others = [f"--{name}" for name in _NOT_OF_A_RUN if options[name]]
    if others:
        raise click.UsageError(f"{', '.join(others)} is not for --run")
    from voxflow.nodes.scanning.callback import ScanCallback
    from voxflow.training.run_evaluation import evaluate_run

    return evaluate_run(
        options["run"],
        checkpoint=options["checkpoint"],
        threshold=options["threshold"],
        progress=ScanCallback() if options["quiet"] else None,
    )


def _print(result: Found) -> None:
    try:
        from rich.console import Console
    except ImportError as error:
        raise ImportError('tables need rich: pip install "voxflow[segmentation]"') from error
    console = Console(highlight=False, soft_wrap=True)
    for note in getattr(result, "notes", ()):
        console.print(f"[yellow]note:[/] {_plain(note)}")
    for table in _tables(result):
        console.print(table)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _tables(result: Found) -> Iterator[Any]:
    from voxflow.evaluation import Evaluation, ImagesEvaluation, ScoreEvaluation, Sweep

    if isinstance(result, Sweep):
        yield _swept(result)
        return
    if isinstance(result, ImagesEvaluation):
        yield _each_image(result)
    elif not isinstance(result, Evaluation | ScoreEvaluation):
        yield _of_run(result)
        return
    table = _table("score", "value", "best")
    for name, value in result.scores.items():
        table.add_row(name, _number(value), _best(name))
    yield table
    if isinstance(result, Evaluation):
        yield from _worst(result)


def _each_image(result: ImagesEvaluation) -> Any:
    table = _table("image", *EACH.values())
    for image, scores in result.images.items():
        table.add_row(_plain(image), *(_number(scores[name]) for name in EACH))
    return table


def _swept(result: Sweep) -> Any:
    table = _table("threshold", *SWEPT.values())
    for number, (threshold, row) in enumerate(zip(result.thresholds, result.scores, strict=True)):
        style = "bold green" if number == result.best else ""
        table.add_row(f"{threshold:g}", *(_number(row[name]) for name in SWEPT), style=style)
    return table


def _of_run(result: RunEvaluation) -> Any:
    table = _table(f"{result.checkpoint.stem}, step {result.step}", *result.scores, "best")
    table.add_row("threshold", *(_number(result.threshold) for _ in result.scores), "")
    for name in result.scores["training"]:
        values = (_number(row[name]) for row in result.scores.values())
        table.add_row(name, *values, _best(name))
    return table


def _worst(result: Evaluation) -> Iterator[Any]:
    for title, listed in (("splits", result.splits), ("merges", result.merges)):
        if listed:
            table = _table(f"worst {title}", "bits", "voxels", "parts", "largest parts: id, where")
            for entry in listed:
                parts = [f"{piece.id} at {_where(piece.position)}" for piece in entry.pieces[:2]]
                table.add_row(str(entry.id), f"{entry.bits:.4f}", str(entry.voxels),
                              str(entry.count), "; ".join(parts))  # fmt: skip
            yield table


def _where(position: tuple[Any, ...]) -> str:
    return "(" + ", ".join(f"{float(entry):g}" for entry in position) + ")"


def _table(*columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        wordy = number == 0 or name.startswith("largest")
        table.add_column(name, justify="left" if wordy else "right", overflow="fold")
    return table


def _number(value: float) -> str:
    if value != value:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _best(name: str) -> str:
    if name in LOWER or name == "fpr":
        return "0"
    counts = ("objects_truth", "objects_found", "voxels", "threshold", "true_", "false_")
    return "" if name.startswith(counts) else "1"
