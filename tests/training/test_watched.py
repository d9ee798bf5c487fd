"""A training from a configuration leaves all that somebody wants to look at."""

import csv
import json
import time

import pytest
import torch
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.training import history, load_newest_checkpoint
from voxflow.training.config import load_config

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
image = pytest.importorskip("PIL.Image")

SMALL = ["data.input_shape=[52,52]", "validation.batches=1", "validation.every.steps=2"]
SHORT = ["stop.steps=4", "previews.every.steps=2", "log.every.steps=2", "previews.shape=[40,40]"]
ALL = ["log.histograms.steps=2", "log.graph=true"]


@pytest.fixture
def train(toy, monkeypatch):
    """The command, in this process."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")

    def call(*arguments):
        command = ["train", str(toy), "device=cpu", *arguments]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        return done

    return call


def board(run):
    sizes = dict.fromkeys([accumulator.SCALARS, accumulator.IMAGES, accumulator.HISTOGRAMS], 0)
    found = accumulator.EventAccumulator(str(run / "tensorboard"), sizes)
    found.Reload()
    return found


def check(run, steps, previews, validated, logged):
    """The run directory is complete."""
    config = load_config(run / "config.yaml", environment={"XDG_CONFIG_HOME": "/nowhere"}).config
    assert config.stop.steps == steps[-1]
    assert json.loads((run / "environment.json").read_text())["python"]
    assert "commit" in json.loads((run / "git.json").read_text())
    assert (run / "scripts" / "toy.yaml").is_file()
    assert f"step {steps[-1]}/{steps[-1]}" in (run / "log.txt").read_text()

    curves = history(run)
    assert curves["loss"].steps.tolist() == steps
    assert curves["validation.loss"].steps.tolist() == validated
    for name in ("lr", "iterations_per_second", "voxels_per_second"):
        assert curves[name].steps.tolist() == logged
        assert (curves[name].values > 0).all()
    with (run / "history.csv").open(newline="") as table:
        rows = {int(row["step"]): row for row in csv.DictReader(table)}
    assert [float(rows[step]["loss"]) for step in steps] == curves["loss"].values.tolist()

    found = board(run)
    assert [s.step for s in found.Scalars("loss")] == steps
    assert [s.value for s in found.Scalars("loss")] == pytest.approx(curves["loss"].values)
    assert [s.step for s in found.Scalars("validation/loss")] == validated
    for name in ("training", "validation-raw"):
        assert [i.step for i in found.Images(f"previews/{name}")] == previews
        for step in previews:
            with image.open(run / "previews" / f"{name}-step-{step}.png") as picture:
                assert picture.format == "PNG"
    newest = load_newest_checkpoint(run / "checkpoints")
    assert newest is not None
    assert newest[1].iteration == steps[-1]
    return found


def test_a_short_run_is_complete(train, tmp_path):
    run = tmp_path / "run"
    done = train("--run-dir", str(run), *SMALL, *SHORT, *ALL)
    found = check(run, [1, 2, 3, 4], [2, 4], [0, 2, 4], [2, 4])
    assert found.Tags()["graph"]
    assert len(found.Tags()["histograms"]) == len(list(torch_names(run)))
    assert sorted(p.name for p in (run / "plots").iterdir()) == [
        "coverage.png",
        "iterations_per_second.png",
        "loss.png",
        "lr.png",
        "voxels_per_second.png",
    ]
    lines = [line for line in done.stderr.splitlines() if line.startswith("step ")]
    assert [line.partition(" ")[2].partition("/")[0] for line in lines] == ["2", "4"]
    assert "it/s" in lines[0]
    assert "MVx/s" in lines[0]


def torch_names(run):
    return torch.load(run / "checkpoints" / "final.pt", weights_only=True)["model_state_dict"]


def test_all_of_it_can_be_switched_off(train, tmp_path):
    run = tmp_path / "run"
    off = [f"log.{name}=false" for name in ("status", "plots", "tensorboard", "csv")]
    previews = ["previews.training=false", "previews.sources=[]"]
    done = train("--run-dir", str(run), *SMALL, *SHORT, *off, *previews)
    assert not any(line.startswith("step ") for line in done.stderr.splitlines())
    there = {p.name for p in run.iterdir()}
    assert not there & {"plots", "tensorboard", "history.csv", "previews"}


@pytest.mark.slow
def test_the_whole_example_takes_less_than_two_minutes_and_is_complete(train, tmp_path):
    begin = time.perf_counter()
    train("--run-dir", str(tmp_path / "run"))
    seconds = time.perf_counter() - begin
    steps = list(range(1, 201))
    check(tmp_path / "run", steps, [100, 200], [0, 50, 100, 150, 200], [100, 200])
    checkpoints = {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()}
    assert {"step-200.pt", "final.pt", "best-validation.loss.pt"} <= checkpoints
    print(f"{seconds:.0f} s")
    assert seconds < 120
