"""What a tuning has found, as pictures."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.training.config.settings import said
from voxflow.training.plots import figure_class, value_limits
from voxflow.training.tuning.report import tuned

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxflow.training.tuning.trial import Trial
    from voxflow.training.tuning.tune import TuneReport

__all__ = ["draw_tuning"]

_MARKS = {"finished": ("o", "C0"), "pruned": ("x", "0.55"), "failed": ("v", "C3")}
_SPREAD = 0.12  # of points that are tried with one choice


def draw_tuning(report: TuneReport) -> list[Path]:
    """Draw the trials, what each option has to do with the value, and how the value came about.

    Parameters
    ----------
    report
        What `tune` gave.

    Returns
    -------
    list[Path]
        The pictures, in ``plots`` in the folder of the tuning: ``trials.png``, ``options.png`` and
        ``curves.png``; none if no trial has a value.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    if all(trial.value is None for trial in report.trials):
        return []
    folder = report.folder / "plots"
    folder.mkdir(exist_ok=True)
    pictures: dict[str, Callable[[TuneReport], Any]] = {
        "trials.png": _trials,
        "options.png": _options,
        "curves.png": _curves,
    }
    written = []
    for name, draw in pictures.items():
        content = io.BytesIO()
        draw(report).savefig(content, format="png")
        part = folder / f".{name}.part"
        part.write_bytes(content.getvalue())
        written.append(part.replace(folder / name))
    return written


def _figure(width: float = 9, height: float = 5) -> Any:
    return figure_class()(figsize=(width, height), dpi=100, layout="constrained")


def _trials(report: TuneReport) -> Any:
    """Values in the order of the trials."""
    figure = _figure()
    axes = figure.add_subplot()
    _points(axes, report, lambda trial: trial.number)
    for first in _begins(report):
        axes.axvline(first - 0.5, color="0.6", linewidth=1, linestyle="--")
    failed = [trial.number for trial in report.trials if trial.value is None]
    if failed:
        mark, colour = _MARKS["failed"]
        bottom = [0.02] * len(failed)
        axes.plot(failed, bottom, mark, color=colour, label="without a value",
                  transform=axes.get_xaxis_transform(), clip_on=False)  # fmt: skip
    axes.set_xlabel("trial")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel(report.metric)
    axes.legend()
    return figure


def _begins(report: TuneReport) -> list[int]:
    """The first trials of all stages but the first."""
    firsts: dict[int, int] = {}
    for trial in report.trials:
        firsts.setdefault(trial.stage, trial.number)
    return [number for stage, number in firsts.items() if stage]


def _options(report: TuneReport) -> Any:
    """A picture for each option: its values to the right, those of the metric upwards."""
    keys = tuned(report.trials)
    columns = min(3, len(keys))
    rows = -(-len(keys) // columns)
    figure = _figure(max(9, 4 * columns), max(5, 3.5 * rows))
    every = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, key in zip(every.flat, keys, strict=False):
        with_key = [trial for trial in report.trials if key in trial.values]
        values = [trial.values[key] for trial in with_key]
        if _are_numbers(values):
            _points(axes, report, partial(_value, key))
            if min(values) > 0 and max(values) / min(values) >= 10:
                axes.set_xscale("log")
        else:
            _choices(axes, report, key, list(dict.fromkeys(map(said, values))))
        axes.set_xlabel(key)
    for axes in every.flat[len(keys) :]:
        axes.remove()
    for axes in every[:, 0]:
        axes.set_ylabel(report.metric)
    every.flat[0].legend()
    return figure


def _value(key: str, trial: Trial) -> Any:
    return trial.values.get(key)


def _are_numbers(values: list[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _choices(axes: Any, report: TuneReport, key: str, names: list[str]) -> None:
    def place(trial: Trial) -> float | None:
        if key not in trial.values:
            return None
        # Side by side, as points of one choice would hide one another; the same in each drawing.
        aside = _SPREAD * np.sin(2.4 * trial.number)
        return names.index(said(trial.values[key])) + float(aside)

    _points(axes, report, place)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)


def _points(axes: Any, report: TuneReport, place: Callable[[Trial], Any]) -> None:
    """Trials that have a value, by what became of them, and the best."""
    shown = [t for t in report.trials if t.value is not None and place(t) is not None]
    for state, (mark, colour) in _MARKS.items():
        here = [trial for trial in shown if trial.state == state]
        if here:
            axes.plot([place(t) for t in here], [t.value for t in here], mark, color=colour,
                      alpha=0.8, label=state)  # fmt: skip
    best = report.best
    if best is not None and place(best) is not None:
        axes.plot([place(best)], [best.value], "*", color="C1", markersize=15, label="best",
                  markeredgecolor="white")  # fmt: skip
    _limit(axes, [trial.value for trial in shown])
    axes.grid(alpha=0.3)


def _curves(report: TuneReport) -> Any:
    """What the validations of each trial have found."""
    figure = _figure()
    axes = figure.add_subplot()
    for trial in sorted(report.trials, key=lambda trial: trial is report.best):
        if not trial.found:
            continue
        steps, values = zip(*sorted(trial.found.items()), strict=True)
        best = report.best is not None and trial.number == report.best.number
        mark, colour = _MARKS.get(trial.state, _MARKS["finished"])
        axes.plot(steps, values, color="C1" if best else colour, alpha=1 if best else 0.35,
                  linewidth=2.5 if best else 1, zorder=3 if best else 2,
                  label=f"best: trial {trial.number}" if best else None)  # fmt: skip
        axes.plot(steps[-1], values[-1], mark, color="C1" if best else colour, markersize=4)
    _limit(axes, [value for trial in report.trials for value in trial.found.values()])
    axes.set_xlabel("step")
    axes.set_ylabel(report.metric)
    axes.grid(alpha=0.3)
    if report.best is not None:
        axes.legend()
    return figure


def _limit(axes: Any, values: list[Any]) -> None:
    limits = value_limits(np.asarray(values, np.float64))
    if limits is not None and limits[0] < limits[1]:
        axes.set_ylim(*limits)
