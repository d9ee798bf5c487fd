"""The trials of a tuning in one file, which several processes share and a kill does not harm."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from voxflow.pipeline.data.seeds import derive_seed
from voxflow.stores.file_lock import lock_file
from voxflow.training.config.settings import said
from voxflow.training.tuning.parameters import Choice, Range
from voxflow.training.tuning.stages import NotTunable
from voxflow.training.tuning.trial import Ended, Trial, best_of, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import optuna

    from voxflow.training.tuning.stages import Stage

__all__ = ["OtherStudy", "Study", "load_optuna"]

_MOST_STARTS = 3  # of a trial whose process is killed again and again
_SECONDS = 1.0  # between two looks at what others do


class OtherStudy(ValueError):
    """A folder holds a tuning of something else."""


class Study:
    """A tuning in a folder.

    ::

        study.db          the trials, as Optuna keeps them
        study.lock        held while trials are handed out
        trials/0003       the run directory of a trial
        trials/0003.lock  held while it goes on

    A trial whose lock nobody holds, though it was not ended, is handed out again: whoever gets it
    goes on with its run.

    Parameters
    ----------
    folder
        Where it is; made if it is not there.
    facts
        What the tuning is of, as JSON has it. Where a folder holds trials, it has to be the same.
    mode
        Whether a smaller or a larger value is better.
    seed
        Of what is drawn.
    prune
        Whether trials are ended whose best value is above the median of the others at a step.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    OtherStudy
        If there is a tuning of something else.
    """

    def __init__(
        self,
        folder: str | Path,
        facts: Mapping[str, Any],
        *,
        mode: Literal["min", "max"] = "min",
        seed: int = 0,
        prune: bool = True,
    ) -> None:
        optuna = load_optuna()
        self.folder = Path(folder).absolute()
        self.mode = mode
        self._seed = seed
        self._held: dict[int, int] = {}
        (self.folder / "trials").mkdir(parents=True, exist_ok=True)
        with self.alone():
            self._storage = optuna.storages.RDBStorage(
                f"sqlite:///{self.folder / 'study.db'}",
                engine_kwargs={"connect_args": {"timeout": 60}},
            )
            self._study = optuna.create_study(
                storage=self._storage,
                study_name="voxflow",
                direction="minimize" if mode == "min" else "maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner() if prune else optuna.pruners.NopPruner(),
            )
            self._agree(json.loads(json.dumps(dict(facts))))

    def close(self) -> None:
        """Let go of the file, and of trials that were not ended."""
        for number in list(self._held):
            self._let_go(number)
        self._storage.remove_session()
        self._storage.engine.dispose()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run_dir(self, number: int) -> Path:
        """The run directory of a trial."""
        return self.folder / "trials" / f"{number:04d}"

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process hands out or ends a trial meanwhile."""
        file = os.open(self.folder / "study.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            while not lock_file(file):
                time.sleep(0.02)
            yield
        finally:
            os.close(file)

    # -- what there is --------------------------------------------------------------------------

    def trials(self) -> list[Trial]:
        """All trials that count, in their order."""
        return [told(t, self.mode) for t in self._counted()]

    def best(self, stage: int | None = None) -> Trial | None:
        """The best finished trial: of a stage, or of the last that has any."""
        done = [t for t in self.trials() if t.state == "finished" and t.value is not None]
        last = max((t.stage for t in done), default=0) if stage is None else stage
        pick = min if self.mode == "min" else max
        return pick(
            (t for t in done if t.stage == last), key=lambda t: t.value or 0.0, default=None
        )

    def _counted(self) -> list[optuna.trial.FrozenTrial]:
        found = self._study.get_trials(deepcopy=False)
        return [t for t in found if "stage" in t.user_attrs and t.user_attrs.get("counts", True)]

    # -- handing out ----------------------------------------------------------------------------

    def next(self, stages: Sequence[Stage], say: Callable[[str], None]) -> Trial | None:
        """A trial to be made now, held for this process; None if all are made, or being made.

        Parameters
        ----------
        stages
            The stages. Another one begins when all trials of the one before are ended, whoever
            makes them.
        say
            Told if that has to be waited for.

        Raises
        ------
        NotTunable
            If no trial of a stage is finished with a value, and another one is to follow.
        """
        waited = False
        while True:
            with self.alone():
                made = self._begun_before() or self._new(stages)
            if not isinstance(made, int):
                return made
            if not waited:
                say(f"waiting for trials that other processes make: {made}")
                waited = True
            time.sleep(_SECONDS)

    def _begun_before(self) -> Trial | None:
        """A trial whose process is gone."""
        import optuna

        for trial in self._study.get_trials(
            deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)
        ):
            if trial.number in self._held or not self._hold(trial.number):
                continue
            starts = trial.user_attrs.get("starts", 0) + 1
            if "stage" not in trial.user_attrs:  # killed while it was drawn
                self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            elif starts > _MOST_STARTS:
                why = f"its process ended {_MOST_STARTS} times; was the memory of the machine full?"
                self._tell(trial.number, Ended("failed", why))
            else:
                self._set(trial.number, starts=starts)
                return told(trial, self.mode)
            self._let_go(trial.number)
        return None

    def _new(self, stages: Sequence[Stage]) -> Trial | int | None:
        """A new trial; or for how many one has to wait; or None if there is nothing to do."""
        trials = self.trials()
        for index, stage in enumerate(stages):
            here = [t for t in trials if t.stage == index]
            if len(here) < stage.trials:
                return self._drawn(index, stage, len(trials), len(here))
            going_on = sum(t.state == "running" for t in here)
            if going_on and index + 1 < len(stages):
                return going_on
        return None

    def _drawn(self, index: int, stage: Stage, count: int, place: int) -> Trial | None:
        best = self.best(index - 1) if index else None
        if index and best is None:
            raise NotTunable(
                f"no trial of stage {index} is finished with a value, so that stage {index + 1} "
                f"has nothing to begin from; see {self.folder / 'trials.csv'}, and take another "
                "folder for other values"
            )
        space = stage.space if best is None else stage.after(best.values)
        self._study.sampler = _sampler(stage, derive_seed(self._seed, count))
        if stage.how == "each":
            chosen = {k: said(v.values[place]) for k, v in space.items() if isinstance(v, Choice)}
            self._study.enqueue_trial(chosen)
        number = self._study.ask(
            {key: _distribution(values) for key, values in space.items()}
        ).number
        self._hold(number)
        # Last: without it, the trial was not drawn wholly.
        self._set(number, starts=1, stage=index)
        return told(self._study.get_trials(deepcopy=False)[number], self.mode)

    def _hold(self, number: int) -> bool:
        file = os.open(self._lock(number), os.O_RDWR | os.O_CREAT, 0o666)
        if not lock_file(file):
            os.close(file)
            return False
        self._held[number] = file
        return True

    def _let_go(self, number: int) -> None:
        os.close(self._held.pop(number))

    def _lock(self, number: int) -> Path:
        return self.run_dir(number).with_suffix(".lock")

    # -- what became of it ----------------------------------------------------------------------

    def report(self, number: int, step: int, value: float) -> bool:
        """Keep a value of the metric; whether the trial is worse than others were by then."""
        trial_id = self._id(number)
        self._storage.set_trial_intermediate_value(trial_id, step, value)
        trial = self._storage.get_trial(trial_id)
        return bool(self._study.pruner.prune(self._study, trial))

    def end(self, number: int, ended: Ended) -> None:
        """Write down how a trial ended, for good; while no other process does."""
        self._tell(number, ended)
        self._let_go(number)
        self._lock(number).unlink(missing_ok=True)

    def put_off(self, number: int) -> None:
        """Leave a trial to be gone on with, as somebody has interrupted it."""
        self._set(number, starts=0)
        self._let_go(number)

    def _tell(self, number: int, ended: Ended) -> None:
        from optuna.trial import TrialState as states  # noqa: N813

        best = best_of(self._storage.get_trial(self._id(number)).intermediate_values, self.mode)
        if ended.state == "finished" and best is None:
            ended = Ended("failed", "its validations found no finite value")
        self._set(number, reason=ended.reason, counts=ended.counts)
        if ended.state == "finished" and best is not None:
            self._study.tell(number, best)
        else:
            state = states.PRUNED if ended.state == "pruned" else states.FAIL
            self._study.tell(number, state=state)

    def _set(self, number: int, **attributes: Any) -> None:
        for name, value in attributes.items():
            self._storage.set_trial_user_attr(self._id(number), name, value)

    def _id(self, number: int) -> int:
        found: int = self._storage.get_trial_id_from_study_id_trial_number(
            self._study._study_id, number
        )
        return found

    def _agree(self, facts: dict[str, Any]) -> None:
        there = self._study.user_attrs.get("facts")
        if there is None or (there != facts and not self._counted()):
            self._study.set_user_attr("facts", facts)
        elif there != facts:
            differ = list(_differences(there, facts))
            raise OtherStudy(
                f"{self.folder} holds a tuning with "
                + ", ".join(f"{key} {said(one)}, not {said(other)}" for key, one, other in differ)
                + "; go on with what it has, or take another folder"
            )


def load_optuna() -> Any:
    """The module.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError('tuning needs Optuna: pip install "voxflow[tune]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _sampler(stage: Stage, seed: int) -> optuna.samplers.BaseSampler:
    """What draws one trial: its draws follow from the seed and from what was found before."""
    from optuna import samplers

    if stage.how == "model":
        return samplers.TPESampler(seed=seed % 2**32, constant_liar=True)
    return samplers.RandomSampler(seed=seed % 2**32)


def _distribution(values: Range | Choice) -> optuna.distributions.BaseDistribution:
    from optuna import distributions as kinds

    if isinstance(values, Choice):
        # As text: a choice may be a list, which Optuna does not take.
        return kinds.CategoricalDistribution(tuple(map(said, values.values)))
    if values.whole:
        return kinds.IntDistribution(int(values.low), int(values.high), log=values.log)
    return kinds.FloatDistribution(values.low, values.high, log=values.log)


def _differences(one: Any, other: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            yield from _differences(one.get(name), other.get(name), f"{key}.{name}".strip("."))
    elif one != other:
        yield key, one, other
