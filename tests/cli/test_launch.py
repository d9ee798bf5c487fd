"""The command that runs a list of tasks."""

import pytest
from click.testing import CliRunner

from voxflow.cli.app import app

TASKS = """
tasks:
  one: {command: echo one}
  two: {command: test -e there}
"""


@pytest.fixture
def launched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.yaml").write_text(TASKS)
    return lambda *options: CliRunner().invoke(app, ["launch", "tasks.yaml", *options])


def words(text):
    rows = [line.split() for line in text.splitlines() if "failed: see" not in line]
    return [row[:4] for row in rows if row and row[0] in ("one", "two")]


def test_a_list_is_run_until_all_is_done(launched, tmp_path):
    done = launched("--dry-run")
    assert done.stdout == "one: echo one\ntwo: test -e there\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.yaml"]

    done = launched()
    assert done.exit_code == 1
    assert words(done.stdout) == [["one", "done", "here", "0"], ["two", "failed", "(1)", "here"]]
    assert done.stdout.splitlines()[-1] == f"two failed: see {tmp_path}/tasks/two.log"

    (tmp_path / "there").touch()
    done = launched()
    assert done.exit_code == 0, done.output
    assert words(done.stdout) == [["one", "done", "before", "here"], ["two", "done", "here", "0"]]
    assert launched("--dry-run").stdout == "one: is done\ntwo: is done\n"


def test_what_is_wrong_is_said_in_a_line(launched, tmp_path):
    launched()
    (tmp_path / "tasks.yaml").write_text(TASKS.replace("echo one", "echo two"))
    done = launched()
    assert done.exit_code == 2
    assert "the task one is done, and was echo one, not echo two" in done.stderr
    (tmp_path / "tasks.yaml").write_text("tasks: {a: {}}")
    done = launched()
    assert done.exit_code == 2
    assert done.stderr == "tasks.yaml:1: tasks.a: give config or command, and not both\n"


def test_a_task_without_a_place_that_is_reached_is_still_to_be_run(launched, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no ssh
    (tmp_path / "tasks.yaml").write_text("places: [{host: far}]\n" + TASKS)
    done = launched()
    assert done.exit_code == 1
    assert words(done.stdout)[:2] == [["one", "waiting"], ["two", "waiting"]]
    last = "two is still to be run: the same command goes on"
    assert done.stdout.splitlines()[-1] == last
    assert "far is not reached, and gets no more tasks" in done.stderr
