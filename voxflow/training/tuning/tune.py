"""Tuning: trial after trial, until all are made, however often it is interrupted."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxflow.training.config.mistakes import nearest
from voxflow.training.run_dir import MARKER
from voxflow.training.tuning.parameters import check_space
from voxflow.training.tuning.report import BEST, write_best, write_table
from voxflow.training.tuning.stages import NotTunable
from voxflow.training.tuning.study import Study
from voxflow.training.tuning.trial import Ended, Trial
from voxflow.training.tuning.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voxflow.training.config import Config, Settings
    from voxflow.training.tuning.stages import Stage

__all__ = ["TuneReport", "tune"]

logger = logging.getLogger(__name__)

_GRACE = 4  # the first part of its steps, in which no trial is pruned

# What changes nothing of what is found: another machine may go on.
_ELSEWHERE = ("name", "device", "run", "log", "previews", "checkpoints")
_ELSEWHERE_OF_DATA = ("workers", "cache", "cache_size")


@dataclass(frozen=True)
class TuneReport:
    """What a tuning has found.

    Attributes
    ----------
    folder
        Where everything is.
    metric
        The value that was optimised.
    trials
        All trials, in their order.
    best
        The best of the last stage, if any is finished.
    interrupted
        Why it ended before all trials were made, if so.
    """

    folder: Path
    metric: str
    trials: list[Trial]
    best: Trial | None
    interrupted: str | None = None

    @property
    def best_file(self) -> Path | None:
        """The best values, as a file that ``voxflow train --with`` reads."""
        return None if self.best is None else self.folder / BEST


def tune(
    load: Callable[[Sequence[str]], Settings],
    stages: Sequence[Stage],
    folder: str | Path,
    *,
    metric: str = "validation.loss",
    mode: Literal["min", "max"] = "min",
    seed: int = 0,
    prune: bool = True,
    keep_all: bool = False,
    scripts: Sequence[str | Path] = (),
    train: Callable[..., Any] | None = None,
) -> TuneReport:
    """Try values of options, and keep which were best.

    The value of a trial is the best that its validations have found. It trains in a run directory
    of its own, ``trials/0003`` in the folder. A folder that holds trials is gone on with: those
    that are ended are not made again, and one that was broken off goes on from its last checkpoint.
    Several processes may be started with one folder; they share the trials.

    Parameters
    ----------
    load
        Gives the configuration with ``key=value`` on top of it.
    stages
        What is tried.
    folder
        Where everything is written.
    metric
        What is optimised: a value of the validation.
    mode
        Whether a smaller or a larger one is better.
    seed
        Of the values that are drawn.
    prune
        Whether a trial ends early if, at the same step, half of the others were better; not in the
        first quarter of its steps.
    keep_all
        Whether checkpoints of all trials are kept, and not only those of the best one.
    scripts
        Files to copy into the run directories.
    train
        What trains, in place of `voxflow.training.train`, and called like it.

    Returns
    -------
    TuneReport
        All trials, and the best.

    Raises
    ------
    ConfigError
        If the schema does not take what is tuned; before the first trial.
    NotTunable
        If no validation finds the metric; or if no trial of a stage is finished with a value that
        the next one could begin from.
    OtherStudy
        If the folder holds a tuning of something else.
    ImportError
        If Optuna is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise NotTunable("a trial is trained by one process: start voxflow tune without torchrun")
    space = {key: values for stage in stages for key, values in stage.space.items()}
    check_metric(metric, check_space(load, space).config)
    facts = {
        "metric": metric,
        "mode": mode,
        "seed": seed,
        "stages": {f"stage {n}": stage.facts for n, stage in enumerate(stages, 1)},
        "config": _what_matters(load(()), space),
    }
    with Study(folder, facts, mode=mode, seed=seed, prune=prune) as study:
        tuning = _Tuning(study, load, stages, metric, keep_all, scripts, train)
        interrupted = tuning.run()
        return TuneReport(study.folder, metric, study.trials(), study.best(), interrupted)


def check_metric(metric: str, config: Config) -> None:
    """See that the validation finds a metric.

    Raises
    ------
    NotTunable
        If it does not.
    """
    section = config.validation
    if section is None:
        raise NotTunable("tuning needs a validation: the configuration has no section validation")
    known = [f"validation.{name}" for name in ("loss", *section.metrics)]
    if metric not in known:
        raise NotTunable(
            f"{metric} is no value of the validation{nearest(metric, known) or '.'} "
            f"There are {', '.join(known)}; validation.metrics adds more"
        )


def _what_matters(settings: Settings, space: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the configuration that decide what trials find."""
    found = {}
    for key, value, _ in settings.values():
        first, _, rest = key.partition(".")
        elsewhere = first in _ELSEWHERE or (first == "data" and rest in _ELSEWHERE_OF_DATA)
        if key not in space and not elsewhere:
            found[key] = value
    return found


class _Tuning:
    """One process of a tuning."""

    def __init__(
        self,
        study: Study,
        load: Callable[[Sequence[str]], Settings],
        stages: Sequence[Stage],
        metric: str,
        keep_all: bool,
        scripts: Sequence[str | Path],
        train: Callable[..., Any] | None,
    ) -> None:
        self._study = study
        self._load = load
        self._stages = stages
        self._metric = metric
        self._keep_all = keep_all
        self._scripts = scripts
        self._train = _trainer() if train is None else train

    def run(self) -> str | None:
        """Make trials until there is none left; or why it was interrupted."""
        while (trial := self._study.next(self._stages, logger.info)) is not None:
            said = ", ".join(f"{key}={value}" for key, value in trial.values.items())
            logger.info("trial %d: %s", trial.number, said)
            watch = Watch(self._metric, partial(self._study.report, trial.number))
            try:
                ended, error = self._made(trial, watch)
            except BaseException:  # Ctrl-C, most likely
                self._study.put_off(trial.number)
                raise
            if ended is None:
                self._study.put_off(trial.number)
                return watch.broken_off
            self._end(trial, ended)
            if error is not None:
                raise error
            if ended.state == "failed":
                _free_memory()
        return None

    def _settings(self, trial: Trial) -> Settings:
        stage = self._stages[trial.stage]
        return self._load(stage.assignments(trial.values, self._load(()).config))

    def _made(self, trial: Trial, watch: Watch) -> tuple[Ended | None, Exception | None]:
        """Train; how it ended, or None if it was interrupted; and an error that ends all."""
        folder = self._study.run_dir(trial.number)
        try:
            settings = self._settings(trial)
            watch.grace = (settings.config.stop.steps or 0) // _GRACE
            self._train(
                settings,
                run_dir=folder,
                resume=(folder / MARKER).is_file(),
                hooks=[watch],
                scripts=self._scripts,
            )
        except FloatingPointError as error:  # a loss that is not finite
            return Ended("pruned", str(error)), None
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            if _out_of_memory(error):
                return Ended("failed", f"out of memory: {why}"), None
            others = [t for t in self._study.trials() if t.state in ("finished", "pruned")]
            if not others:  # nothing has ever worked: more of it is of no use
                return Ended("failed", why, counts=False), error
            logger.warning("trial %d failed: %s", trial.number, why, exc_info=True)
            return Ended("failed", why), None
        if watch.error is not None:
            raise watch.error
        if watch.broken_off is not None:
            return None, None
        if watch.pruned:
            return Ended("pruned", "others were better by then"), None
        return Ended("finished"), None

    def _end(self, trial: Trial, ended: Ended) -> None:
        study = self._study
        with study.alone():
            study.end(trial.number, ended)
            best = study.best()
            write_table(study.folder, study.trials())
            if best is not None:
                write_best(study.folder, best, self._metric)
            if not self._keep_all:
                self._forget(None if best is None else best.number)
            value = next((t.value for t in study.trials() if t.number == trial.number), None)
        said = "" if value is None else f", {self._metric} {value:g}"
        logger.info("trial %d is %s%s%s", trial.number, ended.state, said, _because(ended.reason))

    def _forget(self, best: int | None) -> None:
        """Remove the checkpoints of ended trials but the best."""
        for trial in self._study.trials():
            if trial.state != "running" and trial.number != best:
                shutil.rmtree(self._study.run_dir(trial.number) / "checkpoints", ignore_errors=True)


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _trainer() -> Callable[..., Any]:
    # Not before it is needed: torch takes its time.
    from voxflow.training.configured import train

    return train


_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate")


def _out_of_memory(error: BaseException) -> bool:
    """Whether memory was missing, of the machine or of the GPU."""
    seen: list[BaseException] = []
    here: BaseException | None = error
    while here is not None and here not in seen:
        text = str(here).lower()
        known = isinstance(here, MemoryError) or type(here).__name__ == "OutOfMemoryError"
        # torch raises a plain RuntimeError where the memory of the machine is missing.
        if known or (isinstance(here, RuntimeError) and any(t in text for t in _NO_MEMORY)):
            return True
        seen.append(here)
        here = here.__cause__ or here.__context__
    return False


def _free_memory() -> None:
    gc.collect()
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.empty_cache()
