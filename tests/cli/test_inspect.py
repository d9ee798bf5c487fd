"""The command that looks at files."""

import json
import os
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.stores import create_dataset, open_attrs


@pytest.fixture
def file(tmp_path):
    data = np.arange(64, dtype=np.uint8).reshape(8, 8)
    create_dataset(tmp_path / "a.zarr", "raw", data.shape, data.dtype).write((), data)
    return tmp_path / "a.zarr"


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_a_table(file):
    done = run(file)
    assert done.exit_code == 0
    assert "8 × 8" in done.output
    assert "0 to 63" in done.output
    assert "0 to 63" not in run("--fast", file).output


def test_json(file):
    (report,) = json.loads(run("--json", file).output)
    assert report["arrays"][0]["values"]["high"] == 63


def test_the_highest_loss_first(tmp_path):
    for number, loss in enumerate([0.5, [1.0, 3.0], None, 1.0], 1):
        path = tmp_path / "snapshots" / f"{number}.zarr"
        create_dataset(path, "raw", (2,), np.uint8)
        if loss is not None:
            open_attrs(path, mode="r+")["loss"] = loss
    reports = json.loads(run("--json", "--by-loss", "--fast", tmp_path).output)
    assert [report["loss"] for report in reports] == [[1.0, 3.0], 1.0, 0.5, None]
    assert json.loads(run("--json", tmp_path).output)[0]["loss"] == 0.5


def test_pictures(file, tmp_path):
    done = run(file, "--html", tmp_path / "page.html", "--png", tmp_path / "sheet.png")
    assert done.exit_code == 0
    assert done.output.split() == [str(tmp_path / "page.html"), str(tmp_path / "sheet.png")]
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert (tmp_path / "sheet.png").stat().st_size > 100


def test_what_is_not_there_fails(file, tmp_path):
    done = run(tmp_path / "none")
    assert done.exit_code == 1
    assert "there is no file or folder" in done.output
    done = run(tmp_path / "none", "--html", tmp_path / "page.html")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: there is no file or folder")
    assert run(file, tmp_path / "none").exit_code == 0


def test_a_package_that_is_missing_is_named_with_its_extra(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    done = run(file)
    assert done.exit_code == 1
    assert 'pip install "voxflow[inspect]"' in done.stderr
    assert run("--json", file).exit_code == 0
    monkeypatch.setitem(sys.modules, "PIL", None)
    said = run(file, "--png", file.parent / "sheet.png").stderr
    assert said == 'Error: pictures need Pillow: pip install "voxflow[plots]"\n'


def test_the_first_batches_of_a_training_without_a_training(toy, monkeypatch):
    from voxflow.training import make_session
    from voxflow.training.config import load_config

    class Told:
        def __init__(self):
            self.tokens = []

        def after_step(self, session, step):
            self.tokens.append(json.loads(str(step.batch.token)))

    told = Told()
    more = ["data.batch_size=3", "model.options.fmaps=2", "stop.steps=2"]
    make_session(load_config("toy.yaml", more).config, hooks=[told]).run()
    before = sorted(toy.rglob("*"))
    done = run("toy.yaml", *more, "--batches", 2, "--json")
    assert sorted(toy.rglob("*")) == before
    reports = json.loads(done.stdout)
    assert [report["path"].rpartition("toy/")[2] for report in reports] == [
        "batch-1.zarr",
        "batch-2.zarr",
    ]
    assert [json.loads(report["attrs"]["replay_token"]) for report in reports] == told.tokens
    shapes = {array["name"]: array["shape"] for array in reports[0]["arrays"]}
    assert shapes == {"RAW": [3, 1, 84, 84], "LABELS": [3, 44, 44]}
    assert not any(os.path.exists(report["path"]) for report in reports)


def test_batches_are_those_of_a_configuration(file, toy):
    for words in ([file], ["toy.yaml", "toy.yaml"], [toy]):
        done = run(*words, "--batches", 1)
        assert done.exit_code == 2
    assert "--batches takes one configuration, and KEY=VALUE" in done.stderr
