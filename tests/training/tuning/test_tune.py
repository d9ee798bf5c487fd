"""A tuning makes each trial once, whatever it meets, and keeps what was best."""

import csv
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.training.tuning.objectives import Objective, loads
from voxflow.training.config import ConfigError, load_config
from voxflow.training.tuning import (
    Choice,
    NotTunable,
    OtherStudy,
    Range,
    Stage,
    batch_stages,
    draw_tuning,
    lr_stages,
    tune,
)
from voxflow.training.tuning.study import Study
from voxflow.training.tuning.trial import Ended

EXAMPLE = Path(__file__).parents[3] / "examples" / "toy"
SPACE = {"optimizer.lr": Range(1e-6, 1e-1, log=True), "optimizer.name": Choice(("Adam", "SGD"))}


def rows(folder):
    with open(folder / "trials.csv", newline="") as file:
        return list(csv.DictReader(file))


def told(report):
    """All that does not depend on the clock."""
    return [(t.number, t.stage, t.values, t.state, t.value, t.found) for t in report.trials]


class Kill:
    """Breaks a training off, as the kill of its process would."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def __call__(self, number, config):
        if number in self.numbers:
            self.numbers.remove(number)
            raise KeyboardInterrupt


def test_a_rate_is_found_and_an_interrupted_tuning_ends_as_one_that_was_left_alone(tmp_path):
    load = loads(tmp_path)
    stages = lr_stages(load(()).config, stages=[(4, "25%"), (3, "50%"), (2, "100%")])
    alone = tune(load, stages, tmp_path / "alone", train=Objective(), prune=False)
    assert abs(math.log10(alone.best.values["optimizer.lr"]) + 3) < 0.3
    assert alone.best.stage == 2
    assert [int(row["stage"]) for row in rows(tmp_path / "alone")] == [1] * 4 + [2] * 3 + [3] * 2
    assert [int(row["steps"]) for row in rows(tmp_path / "alone")] == [10] * 4 + [20] * 3 + [40] * 2

    objective = Objective(before=Kill(2, 6))
    folder = tmp_path / "broken"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(load, stages, folder, train=objective, prune=False)
    broken = tune(load, stages, folder, train=objective, prune=False)
    assert told(broken) == told(alone)
    assert len(objective.made) == 9 + 2  # those that were broken off, and no other again
    assert [n for n, resumed in enumerate(objective.resumed) if resumed] == [3, 8]

    again = tune(load, stages, folder, train=objective, prune=False)
    assert len(objective.made) == 11
    assert told(again) == told(alone)


def test_the_best_values_are_a_layer_that_a_training_takes(tmp_path):
    load = loads(tmp_path)
    report = tune(load, [Stage(SPACE, 4)], tmp_path / "t", train=Objective())
    best = min((t for t in report.trials if t.state == "finished"), key=lambda t: t.value)
    assert report.best == best
    config = load_config(tmp_path / "run.yaml", more=[report.best_file]).config
    found = {"optimizer.lr": config.optimizer.lr, "optimizer.name": config.optimizer.name}
    assert found == best.values
    kept = [path.parent.name for path in (tmp_path / "t" / "trials").glob("*/checkpoints")]
    assert kept == [f"{best.number:04d}"]
    pictures = draw_tuning(report)
    assert [path.name for path in pictures] == ["trials.png", "options.png", "curves.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    more = tune(load, [Stage(SPACE, 5)], tmp_path / "t", train=Objective(), keep_all=True)
    assert told(more)[:4] == told(report)
    assert len(more.trials) == 5


def out_of_memory(number, config):
    if config.data.batch_size == 8:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if config.data.batch_size == 16:
        torch.empty(2**60, dtype=torch.uint8)
    if config.data.batch_size == 32:
        try:
            np.empty(2**59)
        except MemoryError as error:
            raise ValueError("a node failed") from error


def test_sizes_that_memory_is_too_small_for_are_told_and_the_others_go_on(tmp_path):
    load = loads(tmp_path)
    sizes = [32, 2, 8, 4, 16]
    objective = Objective(lambda config, step: abs(config.data.batch_size - 4), out_of_memory)
    report = tune(load, batch_stages(load(()).config, sizes), tmp_path / "t", train=objective)
    assert [t.values["data.batch_size"] for t in report.trials] == sizes
    states = ["failed", "finished", "failed", "finished", "failed"]
    assert [t.state for t in report.trials] == states
    assert all(t.reason.startswith("out of memory: ") for t in report.trials[::2])
    assert [row["state"] for row in rows(tmp_path / "t")] == states
    assert yaml.safe_load(report.best_file.read_text()) == {"data": {"batch_size": 4}}


def not_finite(number, config):
    if number == 1:
        raise FloatingPointError("the loss is nan")
    if number == 2:
        raise RuntimeError("something else")


def test_trials_that_break_are_told_and_others_go_on(tmp_path):
    load, objective = loads(tmp_path), Objective(before=not_finite)
    report = tune(load, [Stage(SPACE, 4, "random")], tmp_path / "t", train=objective)
    assert [t.state for t in report.trials] == ["finished", "pruned", "failed", "finished"]
    assert report.trials[1].reason == "the loss is nan"
    assert report.trials[2].reason == "RuntimeError: something else"


def test_a_stage_without_a_value_ends_the_tuning(tmp_path):
    def never(number, config):
        raise FloatingPointError("the loss is nan")

    stages = [Stage(SPACE, 2), Stage(SPACE, 1)]
    with pytest.raises(NotTunable, match="no trial of stage 1 is finished with a value"):
        tune(loads(tmp_path), stages, tmp_path / "t", train=Objective(before=never))
    assert [row["state"] for row in rows(tmp_path / "t")] == ["pruned"] * 2


def test_values_that_do_not_go_together_are_a_failed_trial(tmp_path):
    every = {
        "checkpoints.last.steps": Choice((5, None)),
        "checkpoints.last.hours": Choice((1, None)),
    }
    stages = [Stage(every, 2, "each")]
    report = tune(loads(tmp_path), stages, tmp_path / "t", train=Objective())
    assert [t.state for t in report.trials] == ["finished", "failed"]
    assert "give steps or hours" in report.trials[1].reason


def test_what_can_never_work_ends_the_tuning_and_leaves_nothing_in_the_way(tmp_path):
    def wrong(number, config):
        if config.model.options.get("fmpas"):
            raise TypeError("fmpas")

    objective, folder = Objective(before=wrong), tmp_path / "t"
    with pytest.raises(TypeError, match="fmpas"):
        wrongly = {"model.options.fmpas": Range(3, 5, whole=True)}
        tune(loads(tmp_path), [Stage(wrongly, 3)], folder, train=objective)
    report = tune(loads(tmp_path), [Stage(SPACE, 2)], folder, train=objective)
    assert [t.state for t in report.trials] == ["finished"] * 2
    assert report.trials[0].values.keys() == SPACE.keys()
    with pytest.raises(OtherStudy, match=r"with seed 0, not 1, config.loss.name"):
        load = loads(tmp_path, "loss.name=MSELoss", "device=cpu", "run.folder=elsewhere")
        tune(load, [Stage(SPACE, 2)], folder, seed=1, train=objective)


@pytest.mark.parametrize(
    ("stages", "options", "error", "said"),
    [
        ([Stage({"optimizr.lr": Choice((1, 2))}, 1)], {}, ConfigError, "did you mean optimizer"),
        ([Stage(SPACE, 1)], {"metric": "validation.los"}, ValueError, "did you mean validation.l"),
        ([Stage(SPACE, 1)], {"metric": "loss"}, ValueError, "There are validation.loss; valid"),
    ],
)
def test_nothing_begins_with_names_that_are_wrong(tmp_path, stages, options, error, said):
    objective = Objective()
    with pytest.raises(error, match=said):
        tune(loads(tmp_path), stages, tmp_path / "t", train=objective, **options)
    assert objective.made == []
    assert not (tmp_path / "t").exists()


def test_a_validation_is_needed(tmp_path):
    with pytest.raises(ValueError, match="no section validation"):
        tune(loads(tmp_path, "validation=null"), [Stage(SPACE, 1)], tmp_path / "t")


def test_a_trial_ends_early_if_half_of_the_others_were_better(tmp_path):
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 3.5, 2.5, 6.0]
    space = {"seed": Choice(tuple(range(8)))}
    objective = Objective(lambda config, step: -values[config.seed])
    stages = [Stage(space, 8, "each")]
    report = tune(loads(tmp_path), stages, tmp_path / "t", mode="max", train=objective)
    # The median of the first five is 3, and also of these and 2.5.
    assert [t.number for t in report.trials if t.state == "pruned"] == [5, 7]
    assert report.trials[7].found == {10: -6.0}
    assert report.best.number == 0


def test_a_trial_whose_value_cannot_be_kept_is_gone_on_with(tmp_path, monkeypatch):
    report, fails = Study.report, [True]

    def once(study, number, step, value):
        if number == 1 and step == 20 and fails.pop():
            raise OSError("the database is locked")
        return report(study, number, step, value)

    monkeypatch.setattr(Study, "report", once)
    load, stages, objective = loads(tmp_path), [Stage(SPACE, 2)], Objective()
    with pytest.raises(OSError, match="the database is locked"):
        tune(load, stages, tmp_path / "t", train=objective)
    fails.append(False)
    report_of_all = tune(load, stages, tmp_path / "t", train=objective)
    assert [t.state for t in report_of_all.trials] == ["finished"] * 2
    assert list(report_of_all.trials[1].found) == [10, 20, 30, 40]
    assert objective.resumed == [False, False, True]


def test_a_trial_that_somebody_stops_is_gone_on_with(tmp_path):
    objective, stopped = Objective(), []

    def train(settings, *, run_dir, hooks, **options):
        if run_dir.name == "0001" and not stopped:
            stopped.append(run_dir)

            class Stopped:
                stop_reason = "somebody said stop"

            return hooks[0].end(Stopped())
        return objective(settings, run_dir=run_dir, hooks=hooks, **options)

    load, stages = loads(tmp_path), [Stage(SPACE, 3)]
    report = tune(load, stages, tmp_path / "t", train=train)
    assert report.interrupted == "somebody said stop"
    assert [t.state for t in report.trials] == ["finished", "running"]
    again = tune(load, stages, tmp_path / "t", train=train)
    assert again.interrupted is None
    assert [t.state for t in again.trials] == ["finished"] * 3
    assert again.trials[1].values == report.trials[1].values


def test_processes_share_the_trials_and_one_that_is_killed_leaves_its_own_to_others(tmp_path):
    stages = [Stage(SPACE, 3), Stage(SPACE, 1)]

    def study():
        return Study(tmp_path, {})

    def ended(one, trial):
        one.report(trial.number, 1, 1.0)
        with one.alone():
            one.end(trial.number, Ended("finished"))

    with study() as one, study() as other:
        mine, others, mine_too = (s.next(stages, print) for s in (one, other, one))
        assert [t.number for t in (mine, others, mine_too)] == [0, 1, 2]
        ended(one, mine)
        ended(one, mine_too)
        said = []

        def say(text):  # the next stage waits for the trial of the other
            said.append(text)
            other.close()

        assert one.next(stages, say) == others
        assert said == ["waiting for trials that other processes make: 1"]
    with study() as one:  # and is killed as well
        assert one.next(stages, print) == others
    with study() as one:
        assert one.next(stages, print).number == 3
        assert one.trials()[1].state == "failed"
        assert "its process ended 3 times" in one.trials()[1].reason


# -- real processes -----------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path):
    """A folder with the example and its data."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    plain |= {"XDG_CONFIG_HOME": "/nowhere", "PYTHONPATH": str(EXAMPLE.parents[1])}
    make = [sys.executable, EXAMPLE / "make_data.py", "--out", tmp_path / "data"]
    subprocess.run(make, check=True, env=plain)
    (tmp_path / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    small = ["device=cpu", "data.input_shape=[52,52]", "validation.batches=1", "stop.steps=12"]
    small += ["validation.every.steps=3", "checkpoints.last.steps=2", "log.plots=false"]
    small += ["log.tensorboard=false", "previews.sources=[]"]
    param = ["--param", "optimizer.lr=1e-4..1e-1:log", "--trials", "5", "--no-prune"]

    def started(folder):
        command = [sys.executable, "-m", "voxflow.cli", "tune", "any", "toy.yaml", *small, *param]
        return subprocess.Popen(
            [*command, "--folder", folder], cwd=tmp_path, env=plain, start_new_session=True
        )

    return started


def steps_done(folder):
    found = [path.read_bytes() for path in folder.glob("trials/*/events.jsonl")]
    return sum(text.count(b'"name":"loss"') for text in found)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_and_a_kill_give_the_trials_of_one(toy, tmp_path):
    assert toy("alone").wait(300) == 0
    both = [toy("shared"), toy("shared")]
    since = time.monotonic()
    while steps_done(tmp_path / "shared") < 20:
        assert time.monotonic() - since < 200
        time.sleep(0.01)
    os.killpg(both[0].pid, signal.SIGKILL)
    both[0].wait()
    assert both[1].wait(300) == 0
    assert toy("shared").wait(300) == 0
    alone, shared = rows(tmp_path / "alone"), rows(tmp_path / "shared")
    assert len(alone) == len(shared) == 5
    assert {row["state"] for row in shared} == {"finished"}
    for number in range(5):
        folder = tmp_path / "shared" / "trials" / f"{number:04d}"
        assert (folder / "run.json").exists()
        assert not folder.with_suffix(".lock").exists()
    # The first is drawn before anything is known: the same, with the same losses.
    assert shared[0]["value"] == alone[0]["value"]
