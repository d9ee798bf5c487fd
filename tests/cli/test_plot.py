"""Curves of runs, from the command line."""

import csv
import threading

import pytest
from click.testing import CliRunner

from voxflow.cli.app import app
from voxflow.cli.plot import _labelled
from voxflow.training import Covered, EventLog

pytest.importorskip("matplotlib")


@pytest.fixture
def runs(tmp_path):
    folders = []
    for name, factor in (("a", 1), ("b", 2)):
        folders.append(tmp_path / name / "run")
        folders[-1].mkdir(parents=True)
        with EventLog(folders[-1]) as log:
            log.record(0, {"seed": 3})
            for step in range(1, 60):
                log.record(step, {"loss": factor / step, "lr": 0.1})
    return folders


def plot(*arguments):
    return CliRunner().invoke(app, ["plot", *map(str, arguments)], catch_exceptions=False)


def test_the_curves_of_a_run_go_into_it(runs):
    done = plot(runs[0])
    assert done.exit_code == 0, done.output
    names = [runs[0] / "plots" / "loss.png", runs[0] / "plots" / "lr.png"]
    assert done.output.splitlines() == list(map(str, names))
    assert sorted((runs[0] / "plots").iterdir()) == names
    assert all(name.read_bytes().startswith(b"\x89PNG") for name in names)


def test_where_a_run_has_looked_is_drawn_beside_its_curves(runs):
    Covered().write(runs[0] / "coverage.npz")
    assert plot(runs[0]).output.splitlines()[-1] == str(runs[0] / "plots" / "coverage.png")
    assert "coverage" not in plot(runs[0], "--names", "loss").output


def test_curves_of_several_runs_are_in_one_picture(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert plot(*runs, "--names", "loss").output == "plots/loss.png\n"
    both = (tmp_path / "plots" / "loss.png").read_bytes()
    assert plot(runs[0], "--names", "loss", "--out", "one").output == "one/loss.png\n"
    assert (tmp_path / "one" / "loss.png").read_bytes() != both


def test_options_change_the_picture(runs, tmp_path):
    found = set()
    options = [[], ["--sma", "1"], ["--ema", "0.9"], ["--over", "hours"], ["--all"]]
    for number, chosen in enumerate(options):
        out = tmp_path / str(number)
        assert plot(runs[0], "--names", "loss", "--out", out, *chosen).exit_code == 0
        found.add((out / "loss.png").read_bytes())
    assert len(found) == len(options)


def test_tables_are_written_if_asked(runs, tmp_path):
    out = tmp_path / "out"
    assert plot(*runs, "--csv", "--names", "loss", "--out", out).exit_code == 0
    for name, first in (("a-run", "1.0"), ("b-run", "2.0")):
        with (out / f"{name}.csv").open(newline="") as table:
            rows = list(csv.DictReader(table))
        assert len(rows) == 59
        assert rows[0]["value"] == first
        assert {row["name"] for row in rows} == {"loss"}


def test_a_run_that_goes_on_is_drawn(runs):
    ended = threading.Event()

    def write():
        with EventLog(runs[0]) as log:
            step = 60
            while not ended.is_set():
                log.record(step, {"loss": 1.0})
                step += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert plot(runs[0]).exit_code == 0
    finally:
        ended.set()
        writer.join()


def test_mistakes_are_told(runs, tmp_path):
    done = plot(*runs, "--names", "los")
    assert done.exit_code == 2
    assert "no run has numbers of los; they have seed, loss, lr" in done.output
    (tmp_path / "empty").mkdir()
    done = plot(tmp_path / "empty")
    assert done.exit_code == 1
    assert "the directory of a run?" in done.output
    assert plot(runs[0], "--ema", "1").exit_code == 2
    assert plot("nowhere").exit_code == 2


def test_runs_have_short_names_that_differ(runs, tmp_path):
    def names(*places):
        return list(_labelled(tuple(map(str, places))))

    assert names(*runs) == ["a/run", "b/run"]
    assert names(tmp_path / "a", tmp_path / "b") == ["a", "b"]
    assert names(runs[0], runs[0] / "events.jsonl") == ["run"]
