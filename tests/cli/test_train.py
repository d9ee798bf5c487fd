"""The command that trains."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("voxflow.training.session", reason="there is no session to put together yet")

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"


def run(*arguments, folder):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    plain["XDG_CONFIG_HOME"] = "/nowhere"
    plain["PYTHONPATH"] = str(EXAMPLE.parents[1])
    command = [sys.executable, "-m", "voxflow.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=plain, timeout=110
    )


def test_the_example_is_trained_resumed_and_not_overwritten(tmp_path):
    make = [sys.executable, EXAMPLE / "make_data.py", "--out", tmp_path / "data"]
    subprocess.run(make, check=True, env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])})
    (tmp_path / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    small = ["device=cpu", "data.input_shape=[52,52]", "validation.batches=1"]
    command = ["train", "toy.yaml", *small]

    done = run(*command, "stop.steps=2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 steps, ")
    assert (tmp_path / "runs" / "toy" / "checkpoints" / "final.pt").is_file()

    done = run(*command, "stop.steps=3", folder=tmp_path)
    assert done.returncode == 2
    assert "nothing was changed" in done.stderr
    assert "--resume" in done.stderr

    done = run(*command, "stop.steps=3", "--resume", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 steps, ")

    done = run(*command, "--resume", "--run-dir", "nowhere", folder=tmp_path)
    assert done.returncode == 2
    assert "is no run directory" in done.stderr
