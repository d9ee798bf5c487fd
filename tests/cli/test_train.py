"""The command that trains."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxflow.cli.app import app

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A folder with the example and its data."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import make_data

    make_data.make(tmp_path / "data")
    (tmp_path / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    yield tmp_path
    sys.modules.pop("make_data")


def run(*more):
    small = ["device=cpu", "data.input_shape=[52,52]", "validation.batches=1"]
    return CliRunner().invoke(app, ["train", "toy.yaml", *small, *more])


def test_the_example_is_trained_resumed_and_not_overwritten(toy):
    done = run("stop.steps=2")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("2 steps, ")
    assert (toy / "runs" / "toy" / "checkpoints" / "final.pt").is_file()

    done = run("stop.steps=3")
    assert done.exit_code == 2
    assert "nothing was changed" in done.stderr
    assert "--resume" in done.stderr

    done = run("stop.steps=3", "--resume", "--device", "cuda:77")
    assert "cuda:77" in str(done.exception)

    done = run("stop.steps=3", "--resume")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("3 steps, ")

    done = run("--resume", "--run-dir", "nowhere")
    assert done.exit_code == 2
    assert "is no run directory" in done.stderr
