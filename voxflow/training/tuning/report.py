"""What a tuning has found, in files: a table, and the best values as a layer of a configuration."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING, Any

from voxflow.training.config.settings import said
from voxflow.training.config.text import write_yaml
from voxflow.training.tuning.parameters import nested

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from voxflow.training.tuning.trial import Trial

__all__ = ["BEST", "TABLE", "ranked", "tuned", "write_best", "write_table"]

BEST = "best.yaml"
"""The best values."""

TABLE = "trials.csv"
"""All trials, a row each."""


def tuned(trials: Sequence[Trial]) -> list[str]:
    """The dotted keys of what was tuned."""
    return list(dict.fromkeys(key for trial in trials for key in trial.values))


def ranked(trials: Sequence[Trial], mode: str) -> list[Trial]:
    """Trials with the best first: later stages, then finished ones before others."""

    def place(trial: Trial) -> tuple[Any, ...]:
        worth = 0.0 if trial.value is None else trial.value * (1 if mode == "min" else -1)
        return -trial.stage, trial.state != "finished", trial.value is None, worth, trial.number

    return sorted(trials, key=place)


def write_table(folder: Path, trials: Sequence[Trial]) -> Path:
    """Write a row for each trial, in the place of what was there.

    Parameters
    ----------
    folder
        Of the tuning.
    trials
        In their order.
    """
    keys = tuned(trials)
    content = io.StringIO()
    table = csv.writer(content, lineterminator="\n")
    table.writerow(["trial", "stage", "state", "value", *keys, "steps", "seconds", "reason"])
    for trial in trials:
        value = "" if trial.value is None else repr(trial.value)
        chosen = [said(trial.values[key]) if key in trial.values else "" for key in keys]
        seconds = "" if trial.seconds is None else f"{trial.seconds:.1f}"
        table.writerow(
            [trial.number, trial.stage + 1, trial.state, value, *chosen,
             max(trial.found, default=0), seconds, " ".join(trial.reason.split())]
        )  # fmt: skip
    return _written(folder / TABLE, content.getvalue())


def write_best(folder: Path, best: Trial, metric: str) -> Path:
    """Write the best values as a file that ``voxflow train --with`` takes.

    Parameters
    ----------
    folder
        Of the tuning.
    best
        The trial.
    metric
        What its value is of.
    """
    about = f"# {metric} {best.value:g} in trial {best.number}: trials/{best.number:04d}\n"
    return _written(folder / BEST, about + write_yaml(nested(best.values)))


def _written(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)
    return path
