"""The benchmarks for a GPU run, in their smallest sizes on the CPU; and say what they lack."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[2]


def benchmarks(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "VOXFLOW_BENCH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.slow
def test_all_of_them_run(tmp_path):
    done = benchmarks(tmp_path, "--device", "cpu", "--rounds", "1", "--out", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["machine"]["versions"]["voxflow"]["device"] == "cpu"
    tables = found["tables"]
    assert set(tables) == {"device", "feeding", "prediction", "session", "transfer"}
    assert all(row["ours"] > 0 for table in tables.values() for row in table)
    raw, labels = tables["device"]
    assert raw["more"]["greatest difference"] < 1e-4
    assert labels["more"]["share of labels that differ"] < 1e-3
    (fed,) = tables["feeding"]
    assert fed["more"]["iterations/s"] * fed["ours"] == pytest.approx(1)
    assert -0.01 < fed["more"]["idle"] < 1
    beside, fed = tables["session"]
    assert beside["ratio"] > 0
    assert -0.01 < fed["more"]["idle"] < 1
    assert len(tables["transfer"]) == 4
    for row in tables["prediction"]:
        assert row["more"]["greatest difference"] < 0.1
        assert row["more"].get("difference by company", 0) == 0
    assert "share of labels that differ" in done.stdout


def begin(monkeypatch, *arguments):
    """The same in this process, which has torch already."""
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", *map(str, arguments)])
    main()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_machine_without_cuda_is_said(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        begin(monkeypatch, "transfer", "--out", tmp_path / "gpu.json")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "need a CUDA device" in said
    assert "--device cpu" in said
    assert not (tmp_path / "gpu.json").exists()


def test_they_are_listed(monkeypatch, capsys):
    begin(monkeypatch, "--list")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "device",
        "feeding",
        "prediction",
        "session",
        "transfer",
    ]
