"""Pictures of evaluations: curves of thresholds, overlaps of objects, the worst mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.evaluation.evaluate import Evaluation
from voxflow.evaluation.matching import Overlaps, matches
from voxflow.evaluation.scores import ScoreEvaluation
from voxflow.evaluation.sweep import Sweep

if TYPE_CHECKING:
    from voxflow.evaluation.objects import Trouble

__all__ = ["plot_evaluation"]

GOOD, BAD, OTHER, LINE = "#1b7f5c", "#c2452d", "#3b6ea8", "#444444"
_BARS = 8


def plot_evaluation(found: Evaluation | ScoreEvaluation | Sweep, file: str | Path) -> None:
    """Draw what `evaluate`, `evaluate_scores` or `sweep` found.

    Parameters
    ----------
    found
        What to draw.
    file
        The picture, ``.png`` or another that matplotlib writes.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'pictures need matplotlib: pip install "voxflow[plots]"', name=error.name
        ) from error
    figure = Figure(figsize=(10, 7.5) if not isinstance(found, Sweep) else (10, 4))
    FigureCanvasAgg(figure)
    if isinstance(found, Evaluation):
        _draw_segmentation(figure, found)
    elif isinstance(found, ScoreEvaluation):
        _draw_scores(figure, found)
    else:
        _draw_sweep(figure, found)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def _draw_segmentation(figure: Any, found: Evaluation) -> None:
    (overlap, size), (split, merge) = figure.subplots(2, 2)
    overlaps = Overlaps.of(found.table)
    steps = np.linspace(0.05, 1, 20)
    counts = [matches(overlaps, step) for step in steps]
    for name, colour in (("precision", OTHER), ("recall", BAD), ("f1", GOOD)):
        overlap.plot(steps, [getattr(entry, name) for entry in counts], color=colour, label=name)
    _label(overlap, "objects that match", "intersection over union, at least", "")
    overlap.set(xlim=(0, 1), ylim=(0, 1.03))
    overlap.legend(frameon=False)
    size.scatter(found.objects.voxels, found.objects.iou, s=9, alpha=0.5, color=OTHER, lw=0)
    _label(size, "objects of the truth", "voxels", "intersection over union")
    size.set(ylim=(-0.03, 1.03))
    if len(found.objects.voxels):
        size.set_xscale("log")
        size.xaxis.set_minor_formatter("")
    scores = found.scores
    _draw_worst(split, found.splits, f"worst splits, of {scores['voi_split']:.3f} bits", BAD)
    _draw_worst(merge, found.merges, f"worst merges, of {scores['voi_merge']:.3f} bits", OTHER)


def _draw_worst(axes: Any, listed: list[Trouble], title: str, colour: str) -> None:
    shown = listed[:_BARS]
    axes.barh(range(len(shown)), [entry.bits for entry in shown], color=colour)
    names = [f"{entry.id} ({entry.count})" for entry in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.invert_yaxis()
    axes.locator_params(axis="x", nbins=5)
    _label(axes, title, "bits", "id (parts)")


def _draw_scores(figure: Any, found: ScoreEvaluation) -> None:
    (by_threshold, precision_recall), (roc, errors) = figure.subplots(2, 2)
    steps, counts = found.histogram.thresholds, found.histogram.confusions()
    for name, colour in (("f1", GOOD), ("accuracy", OTHER)):
        values = [getattr(entry, name) for entry in counts]
        by_threshold.plot(steps, values, color=colour, label=name)
    by_threshold.axvline(found.threshold, color=LINE, lw=0.8, ls="--")
    by_threshold.set(ylim=(0, 1.03))
    by_threshold.legend(frameon=False)
    at = found.confusion
    _label(by_threshold, f"F1 and accuracy, at {found.threshold:.3f}: {at.f1:.3f}, "
           f"{at.accuracy:.3f}", "threshold", "")  # fmt: skip
    recall, precision = [c.recall for c in counts], [c.precision for c in counts]
    precision_recall.step([*recall, 0], [*precision, precision[-1]], where="pre", color=GOOD)
    precision_recall.plot(at.recall, at.precision, "o", color=LINE)
    precision_recall.set(xlim=(0, 1.03), ylim=(0, 1.03))
    _label(precision_recall, f"precision and recall, area {found.pr_area:.4f}", "recall",
           "precision")  # fmt: skip
    roc.plot([1, *(c.fpr for c in counts), 0], [1, *recall, 0], color=OTHER)
    roc.plot([0, 1], [0, 1], color=LINE, lw=0.6, ls=":")
    roc.plot(at.fpr, at.tpr, "o", color=LINE)
    _label(roc, f"ROC, area {found.roc_area:.4f}", "false positives", "true positives")
    edges = [*steps, 2 * steps[-1] - steps[-2] if len(steps) > 1 else steps[0] + 1]
    for row, name, colour in ((0, "negatives", OTHER), (1, "positives", BAD)):
        heights = found.histogram.counts[row, 1:]
        errors.stairs(heights, edges, color=colour, label=name)
    errors.set_yscale("symlog", linthresh=1)
    errors.axvline(found.threshold, color=LINE, lw=0.8, ls="--")
    errors.legend(frameon=False)
    _label(errors, "scores of both classes", "score", "voxels")


def _draw_sweep(figure: Any, found: Sweep) -> None:
    information, objects = figure.subplots(1, 2)
    kinds = (("voi_split", BAD), ("voi_merge", OTHER), ("voi", LINE), ("arand", GOOD))
    for name, colour in kinds:
        values = [row[name] for row in found.scores]
        information.plot(found.thresholds, values, "o-", ms=3, color=colour, label=name)
    for name, colour in (("f1@0.5", GOOD), ("panoptic_quality", OTHER), ("mean_iou", BAD)):
        values = [row[name] for row in found.scores]
        objects.plot(found.thresholds, values, "o-", ms=3, color=colour, label=name)
    for axes in (information, objects):
        axes.axvline(found.thresholds[found.best], color=LINE, lw=0.8, ls="--")
        axes.legend(frameon=False)
        axes.set(ylim=(0, None))
    _label(information, "variation of information (bits), adapted Rand error", "threshold", "")
    _label(objects, "objects", "threshold", "")


def _label(axes: Any, title: str, below: str, beside: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(below)
    axes.set_ylabel(beside)
    axes.spines[["top", "right"]].set_visible(False)
