"""A configuration is trained, and what it wrote down trains the same again."""

import json
import shutil
import warnings

import numpy as np
import pytest
import torch

from voxflow.training import (
    Filters,
    Regression,
    RunDir,
    Status,
    UnknownTarget,
    make_session,
    read_events,
    train,
)
from voxflow.training.config import load_config
from voxflow.training.run_dir import NoRunDir, RunDirTaken


def load(file, *assignments):
    small = ["device=cpu", "data.input_shape=[52,52]", "validation.batches=1", "stop.steps=4"]
    # What is to be looked at has tests of its own.
    small += ["log.plots=false", "log.tensorboard=false", "previews.sources=[]"]
    environment = {"XDG_CONFIG_HOME": "/nowhere"}
    return load_config(file, [*small, *assignments], environment=environment)


def weights(run):
    found = torch.load(run / "checkpoints" / "final.pt", weights_only=True)
    return found["model_state_dict"]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_a_run_holds_all_that_it_is_made_of_and_is_made_again_from_it(toy, tmp_path):
    report = train(load(toy), run_dir=tmp_path / "run", scripts=[toy])
    assert report.step == 4
    run = tmp_path / "run"
    assert (run / "scripts" / "toy.yaml").read_text() == toy.read_text()
    assert json.loads((run / "environment.json").read_text())["torch"]["version"]
    assert "@" in (run / "log.txt").read_text().splitlines()[0]
    train(load(run / "config.yaml"), run_dir=tmp_path / "again")
    assert same(weights(run), weights(tmp_path / "again"))
    train(load(toy, "seed=1", "run.source=false"), run_dir=tmp_path / "other")
    assert [(folder / "voxflow.tgz").exists() for folder in (run, tmp_path / "other")] == [1, 0]
    assert not same(weights(run), weights(tmp_path / "other"))


def test_a_run_is_resumed_exactly_and_never_overwritten(toy, tmp_path):
    train(load(toy), run_dir=tmp_path / "whole")
    train(load(toy, "stop.steps=2"), run_dir=tmp_path / "parts")
    before = {p: p.read_bytes() for p in (tmp_path / "parts").rglob("*") if p.is_file()}
    with pytest.raises(RunDirTaken):
        train(load(toy), run_dir=tmp_path / "parts")
    assert before == {p: p.read_bytes() for p in (tmp_path / "parts").rglob("*") if p.is_file()}
    assert train(load(toy), run_dir=tmp_path / "parts", resume=True).step == 4
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert (tmp_path / "parts" / "config-2.yaml").exists()
    with pytest.raises(NoRunDir):
        train(load(toy), run_dir=tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_options_of_the_optimizer_that_come_too_late_are_told(toy, tmp_path, caplog):
    train(load(toy, "stop.steps=1"), run_dir=tmp_path / "run")
    train(load(toy, "stop.steps=2", "optimizer.lr=0.5"), run_dir=tmp_path / "run", resume=True)
    assert "optimizer.lr=0.5 changes nothing, as it was" in caplog.text
    assert caplog.text.count("changes nothing") == 1


def test_what_cannot_be_built_leaves_no_run_directory(toy, tmp_path):
    with pytest.raises(TypeError, match="fmpas"):
        train(load(toy, "model.options.fmpas=3"), run_dir=tmp_path / "run")
    with pytest.raises(UnknownTarget, match=r"did you mean optimizer.lr"):
        train(load(toy, "schedules.optimizer.lrr.decay=0.5"), run_dir=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_runs_are_in_the_folder_of_the_configuration(toy, tmp_path):
    for _ in range(2):
        train(load(toy, f"run.folder={tmp_path}", "run.exists=new", "stop.steps=1"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy", "toy-2"]


def test_two_runs_in_one_interpreter_do_not_touch_each_other(toy, tmp_path):
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    train(load(toy), run_dir=tmp_path / "a")
    train(load(toy), run_dir=tmp_path / "b")
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.array_equal(np.random.get_state()[1], state[1])


def test_schedules_change_what_they_name(toy):
    session = make_session(load(toy, "schedules.optimizer.lr.every=2").config)
    with pytest.raises(ValueError, match="frozen"):
        session.scope["config"].model.name = "UNet"  # at the console it tells, and no more
    session.run()
    assert session.optimizer.param_groups[0]["lr"] == pytest.approx(3e-3 * 0.25)


def test_training_data_are_evaluated_as_well(toy, tmp_path):
    train(load(toy, "validation.training=true", "stop.steps=1"), run_dir=tmp_path / "run")
    (found,) = read_events(tmp_path / "run", ["training.loss"])
    assert found.step == 0


@pytest.mark.parametrize(("name", "kind"), [("regression", Regression), ("filters", Filters)])
def test_more_is_drawn_if_that_is_asked(toy, name, kind):
    for asked, count in ((f"log.{name}.steps=2", 1), ("log.csv=false", 0)):
        hooks = [*make_session(load(toy, asked).config).hooks]
        found = [hook for hook in hooks if isinstance(hook, kind)]
        assert [hook.every.steps for hook in found] == [2] * count
        assert all(hook.images in hooks for hook in found)


def test_the_change_of_the_loss_is_told_if_that_is_asked(toy):
    for asked in ("true", "false"):
        hooks = make_session(load(toy, f"log.loss_change={asked}").config).hooks
        (found,) = [hook for hook in hooks if isinstance(hook, Status)]
        assert found.change == (asked == "true")


def test_options_of_a_step_and_rules_reach_the_session(toy):
    config = load(
        toy,
        "step.accumulate=2",
        "step.clip_norm=0.5",
        "stop.hours=2",
        "stop.wall_hours=3",
        "stop.early={patience: 3}",
    ).config
    session = make_session(config)
    assert [type(rule).__name__ for rule in session.stop_rules] == [
        "MaxSteps", "MaxActiveHours", "MaxWallHours", "EarlyStopping"
    ]  # fmt: skip
    assert session._step.options.accumulate == 2
    assert session._step.options.clip_norm == 0.5
    assert session.validation.batches == 1


def test_weights_of_another_run_and_weights_that_stay(toy, tmp_path):
    train(load(toy), run_dir=tmp_path / "first")
    start = f"model.start_from={tmp_path}/first/checkpoints/final.pt"
    name = next(iter(weights(tmp_path / "first")))
    train(load(toy, start, f"model.freeze=['{name}']"), run_dir=tmp_path / "second")
    first, second = weights(tmp_path / "first"), weights(tmp_path / "second")
    assert torch.equal(first[name], second[name])
    assert not same(first, second)
    # As if it had been killed before its first checkpoint.
    shutil.rmtree(tmp_path / "second" / "checkpoints")
    train(load(toy, start, f"model.freeze=['{name}']"), run_dir=tmp_path / "second", resume=True)
    assert same(second, weights(tmp_path / "second"))
    # What it began with may be gone once it has a checkpoint.
    shutil.rmtree(tmp_path / "first")
    more = load(toy, start, f"model.freeze=['{name}']", "stop.steps=5")
    train(more, run_dir=tmp_path / "second", resume=True)


def test_a_run_directory_that_is_held_is_not_resumed(toy, tmp_path):
    with RunDir.make(tmp_path / "run"), pytest.raises(RunDirTaken, match="another process"):
        train(load(toy), run_dir=tmp_path / "run", resume=True)


@pytest.mark.slow
def test_the_example_learns(toy, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = load_config(toy, ["device=cpu"], environment={"XDG_CONFIG_HOME": "/nowhere"})
        train(settings, run_dir=tmp_path / "run")
    losses = [event.value for event in read_events(tmp_path / "run", ["validation.loss"])]
    assert losses[0] > 0.5
    assert min(losses) < 0.2
