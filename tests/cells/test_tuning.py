"""A training on cells is tuned by its configuration, as any other."""

import csv

import pytest
import yaml
from click.testing import CliRunner

from tests.cells.drawn import folder, options
from voxflow.cells import cell_settings
from voxflow.cli.app import app


@pytest.mark.slow
def test_the_size_of_batches_is_tuned(tmp_path, monkeypatch):
    """Each is trained for as many samples."""
    monkeypatch.chdir(tmp_path)
    made = options(tmp_path, folder(tmp_path / "train", 4, ((30, 27),)), augments=1, epochs=2)
    (tmp_path / "config.yaml").write_text(cell_settings(made).dump())
    words = ["tune", "batch", "config.yaml", "--key", "data.options.batch", "--sizes", "2,4"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = tmp_path / "models" / "cells-tune-batch"
    with (found / "trials.csv").open(newline="") as opened:
        trials = list(csv.DictReader(opened))
    assert [trial["state"] for trial in trials] == ["finished"] * 2
    said = [yaml.safe_load((found / f"trials/{n:04}/config.yaml").read_text()) for n in (0, 1)]
    assert [one["data"]["options"]["batch"] for one in said] == [2, 4]
    assert [one["stop"]["steps"] for one in said] == [8, 4]
    best = min(trials, key=lambda trial: float(trial["value"]))
    kept = yaml.safe_load((found / "best.yaml").read_text())
    assert kept["data"]["options"]["batch"] == int(best["data.options.batch"])
