"""The command that tunes."""

import shlex
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from voxflow.cli.app import app

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"
SMALL = [
    "device=cpu",
    "data.input_shape=[52,52]",
    "validation.batches=1",
    "validation.every.steps=2",
    "log.plots=false",
    "log.tensorboard=false",
    "previews.sources=[]",
    "stop.steps=2",
]


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What is said to a command that does nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    (tmp_path / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    monkeypatch.chdir(tmp_path)

    def said(*arguments, code=2):
        done = CliRunner().invoke(app, ["tune", *arguments])
        assert done.exit_code == code, done.output
        assert [path.name for path in tmp_path.iterdir()] == ["toy.yaml"]
        return done.stderr

    return said


def test_a_configuration_is_tuned_and_trained_with_the_best_values(toy):
    command = ["tune", "any", "toy.yaml", *SMALL, "--param", "optimizer.lr=0.001,0.01"]
    done = CliRunner().invoke(app, [*command, "--trials", "2"])
    assert done.exit_code == 0, done.output
    folder = toy / "runs" / "toy-tune-any"
    lines = done.stdout.splitlines()
    assert [word for line in lines for word in line.split() if "finished" in word] == [
        "finished"
    ] * 2
    words = ["voxflow", "train", "toy.yaml", *SMALL, "--with", str(folder / "best.yaml")]
    assert shlex.split(lines[-1]) == words
    assert sorted(path.name for path in (folder / "plots").iterdir()) == [
        "curves.png",
        "options.png",
        "trials.png",
    ]
    assert (folder / "trials" / "0001" / "config.yaml").exists()
    best = yaml.safe_load((folder / "best.yaml").read_text())
    done = CliRunner().invoke(app, ["config", "show", "toy.yaml", "--with", folder / "best.yaml"])
    assert f"optimizer.lr = {best['optimizer']['lr']}  # {folder}/best.yaml:" in done.stdout

    done = CliRunner().invoke(app, [*command, "--trials", "2", "--seed", "1"])
    assert done.exit_code == 2
    assert "seed 0, not 1" in done.stderr
    assert "--folder" in done.stderr


def test_what_is_wrong_is_told_before_anything_begins(refused):
    said = refused("any", "toy.yaml", "--param", "optimizr.lr=1,2", "--param", "optimizer.lr=0..1")
    assert "optimizr: is no option; did you mean optimizer?" in said
    assert "optimizer.lr: should be greater than 0, got 0.0" in said
    assert "--param: seed: should be KEY=" in refused("any", "toy.yaml", "--param", "seed")
    assert "--stage is TRIALS:LENGTH" in refused("lr", "toy.yaml", "--stage", "20")
    assert "--sizes are whole numbers" in refused("batch", "toy.yaml", "--sizes", "2,x")
    assert "should be greater than or equal to 1" in refused("batch", "toy.yaml", "--sizes", "0,2")
    said = refused("lr", "toy.yaml", "--metric", "validation.lss")
    assert "did you mean validation.loss?" in said
    assert "has no stop.steps" in refused("lr", "toy.yaml", "stop.steps=null", "stop.hours=1")


def test_a_package_that_is_missing_is_named(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert 'pip install "voxflow[tune]"' in refused("batch", "toy.yaml", code=1)


def test_a_stage_without_a_value_is_said_in_a_line(refused, tmp_path, monkeypatch):
    def never(settings, **options):
        raise FloatingPointError("the loss is nan")

    monkeypatch.setattr("voxflow.training.configured.train", never)
    stages = ["--stage", "1:10%", "--stage", "1:100%"]
    done = CliRunner().invoke(app, ["tune", "lr", "toy.yaml", *stages])
    assert done.exit_code == 2
    assert "no trial of stage 1 is finished with a value" in done.stderr
    assert f"{tmp_path}/runs/toy-tune-lr/trials.csv" in done.stderr
