"""A list of tasks is run: each once, in its place, and not again when it is done."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.training.tuning.objectives import GOOD
from voxflow.training.config import ConfigError
from voxflow.training.launching import Place, launch, load_tasks
from voxflow.training.launching.launch import _Launcher

PYTHON = sys.executable


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    (tmp_path / "run.yaml").write_text(GOOD)
    (tmp_path / "best.yaml").write_text("optimizer: {lr: 0.5}")

    def written(text):
        path = tmp_path / "tasks.yaml"
        path.write_text(text)
        return path

    return written


def told(outcomes):
    return [(outcome.task, outcome.state, outcome.place, outcome.earlier) for outcome in outcomes]


def test_tasks_are_run_once_and_those_that_failed_again(write, tmp_path):
    file = write("""
places: [{slots: 2}, {name: other, command: [env, OTHER=1]}]
tasks:
  good: {command: "echo $ 'a b' >&2", places: [here]}
  bad: {command: [sh, -c, "echo $OTHER >> tries; test -e now"], places: [other]}
  none: {command: no-such-program, places: [here]}
""")
    found = launch(load_tasks(file))
    assert [(o.task, o.state, o.earlier) for o in found] == [
        ("good", "done", False),
        ("bad", "failed", False),
        ("none", "failed", False),
    ]
    outcomes = {outcome.task: outcome for outcome in launch(load_tasks(file))}
    assert outcomes["good"].earlier
    assert (outcomes["bad"].state, outcomes["bad"].code, outcomes["bad"].place) == (
        "failed",
        1,
        "other",
    )
    assert (outcomes["none"].state, outcomes["none"].code) == ("failed", None)
    assert (tmp_path / "tries").read_text() == "1\n1\n"
    assert (tmp_path / "tasks" / "good.log").read_text() == "$ echo '$' 'a b' '>&2'\n$ a b >&2\n"
    assert "cannot be started" in (tmp_path / "tasks" / "none.log").read_text()
    (tmp_path / "now").touch()
    assert told(launch(load_tasks(file)))[:2] == [
        ("good", "done", "here", True),
        ("bad", "done", "other", False),
    ]


def test_a_done_task_that_has_become_another_is_refused(write):
    launch(load_tasks(write("tasks: {one: {command: 'true'}}")))
    other = load_tasks(write("tasks: {one: {command: 'true again'}}"))
    with pytest.raises(ValueError, match=r"the task one is done, and was true, not true again"):
        launch(other)


def test_no_more_than_there_are_places_run_at_a_time_and_two_launchers_share(write, tmp_path):
    # Each notes when it begins and ends.
    note = "echo begin >> notes; sleep 0.1; echo end >> notes"
    tasks = "\n".join(f'  t{n}: {{command: [sh, -c, "{note}"]}}' for n in range(6))
    listed = load_tasks(write(f"places: [{{slots: 2}}]\ntasks:\n{tasks}"))
    found = []
    threads = [threading.Thread(target=lambda: found.append(launch(listed))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    notes = (tmp_path / "notes").read_text().split()
    assert notes.count("begin") == notes.count("end") == 6
    running, most = 0, 0
    for word in notes:
        running += 1 if word == "begin" else -1
        most = max(most, running)
    assert 1 < most <= 4
    begun = [o for outcomes in found for o in outcomes if o.state == "done" and not o.earlier]
    assert sorted(outcome.task for outcome in begun) == [f"t{n}" for n in range(6)]


def test_what_another_launcher_has_ended_meanwhile_is_not_run_again(write, tmp_path):
    text = "{command: [sh, -c, 'echo once >> notes; exit 3']}"
    listed = load_tasks(write(f"tasks: {{a: {text}}}"))
    listed.folder.mkdir()
    one, other = _Launcher(listed), _Launcher(listed)
    for launcher in (one, other):
        launcher.work(listed.places[0])
    assert (tmp_path / "notes").read_text() == "once\n"
    assert [(o.outcomes["a"].code, o.outcomes["a"].earlier) for o in (one, other)] == [
        (3, False),
        (3, True),
    ]


def test_what_is_wrong_is_told_with_its_line_before_anything_begins(write, tmp_path):
    file = write("""\
placs: []
tasks:
  a: {config: run.yaml, comand: x}
  b: {config: run.yaml, command: x}
""")
    with pytest.raises(ConfigError) as caught:
        load_tasks(file)
    assert sorted(str(caught.value).splitlines()) == [
        f"{file}:1: placs: is no option; did you mean places?",
        f"{file}:3: tasks.a.comand: is no option; did you mean command?",
        f"{file}:4: tasks.b: give config or command, and not both",
    ]
    file = write("""\
tasks:
  a: {config: run.yaml, set: {optimizer.lrr: 1}}
  b: {command: x, places: [her]}
""")
    with pytest.raises(ConfigError) as caught:
        load_tasks(file)
    assert str(caught.value).splitlines() == [
        f"{file}:2: tasks.a: command line: optimizer.lrr: is no option; did you mean lr?",
        f"{file}:3: tasks.b.places: her is no place; did you mean here?",
    ]
    with pytest.raises(ConfigError, match=r":1: places: name at least one, or leave it out"):
        load_tasks(write("places: []\ntasks: {a: {command: x}}"))
    assert not (tmp_path / "tasks").exists()


def test_a_training_that_was_begun_goes_on(write, tmp_path):
    file = write("tasks: {a: {config: run.yaml, with: [best.yaml], set: {optimizer.name: SGD}}}")
    (task,) = load_tasks(file).tasks
    folder = tmp_path / "tasks" / "a"
    whole = ["train", str(tmp_path / "run.yaml"), "optimizer.name=SGD", "--with"]
    assert list(task.command[3:]) == [*whole, f"{tmp_path}/best.yaml", "--run-dir", str(folder)]
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    assert task.command[-1] == "--resume"


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """Put a program in the place of ssh, that does here what would be done there."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def written(text):
        (folder / "ssh").write_text(text)
        (folder / "ssh").chmod(0o755)

    return written


SSH = '#!/bin/sh\nshift 3\necho "to $1"\ntest "$1" = dead && exit 255\nexec sh -c "$2"\n'


def test_other_machines_are_reached_by_ssh(write, tmp_path, ssh):
    ssh(SSH)
    file = write("""
places: [{host: me@far, gpus: [3]}]
tasks: {a: {command: [sh, -c, 'echo "$CUDA_VISIBLE_DEVICES in $(pwd)"; cat']}}
""")
    assert told(launch(load_tasks(file))) == [("a", "done", "me@far", False)]
    lines = (tmp_path / "tasks" / "a.log").read_text().splitlines()
    assert lines[1:] == ["to me@far", f"3 in {tmp_path}"]
    assert Place("x", gpu=1).command(("a",), tmp_path) == ["env", "CUDA_VISIBLE_DEVICES=1", "a"]


def test_a_machine_that_is_not_reached_gets_no_more_tasks_and_fails_none(write, tmp_path, ssh):
    ssh(SSH)
    here = "{command: [sh, -c, 'echo once >> notes; sleep 0.1']}"
    file = write(f"""
places: [{{host: dead, gpus: [0, 1]}}, {{host: far}}]
tasks:
  a: {here}
  b: {here}
  c: {here}
  there: {{command: 'true', places: [dead]}}
""")
    assert told(launch(load_tasks(file))) == [
        ("a", "done", "far", False),
        ("b", "done", "far", False),
        ("c", "done", "far", False),
        ("there", "waiting", "", False),
    ]
    assert (tmp_path / "notes").read_text() == "once\n" * 3
    assert not (tmp_path / "tasks" / "there.json").exists()


def test_a_place_waits_for_a_task_that_another_may_give_back(write, tmp_path, ssh):
    # The machine is found to be dead when the other place has nothing left to do.
    wait = "while ! test -e {}; do sleep 0.01; done"
    ssh(f"#!/bin/sh\ntouch begun; {wait.format('tasks/here.json')}; sleep 0.05; exit 255\n")
    file = write(f"""
places: [{{host: dead}}, {{}}]
tasks:
  here: {{command: [sh, -c, {wait.format("begun")!r}], places: [here]}}
  there: {{command: 'true'}}
""")
    assert told(launch(load_tasks(file))) == [
        ("here", "done", "here", False),
        ("there", "done", "here", False),
    ]


TERMINAL = f"""#!{PYTHON} -S
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", sys.argv[-1]])))
"""


def test_an_interrupt_reaches_what_runs_elsewhere_before_the_connection_ends(write, tmp_path, ssh):
    ssh(TERMINAL)
    # With the connection, the terminal ends, and SIGHUP comes in place of SIGINT.
    (tmp_path / "long.sh").write_text(
        "trap 'touch ended; exit 3' INT\ntouch begun\nwhile :; do sleep 0.02; done\n"
    )
    listed = load_tasks(write("places: [{host: far}]\ntasks: {a: {command: sh long.sh}}"))
    listed.folder.mkdir()
    launcher = _Launcher(listed)
    thread = threading.Thread(target=launcher.work, args=listed.places)
    thread.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    launcher.stop()
    thread.join()
    assert (tmp_path / "ended").exists()
    assert (launcher.outcomes["a"].state, launcher.outcomes["a"].code) == ("interrupted", 3)


LAUNCH = "import sys; from voxflow.training.launching import *; launch(load_tasks(sys.argv[1]))"
LONG = """
import os, pathlib, sys, time
try:
    written = pathlib.Path(sys.argv[1] + ".part")
    written.write_text(str(os.getpid()))
    written.rename(sys.argv[1])
    time.sleep(100)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).with_suffix(".ended").touch()
"""


def test_an_interrupt_ends_what_runs_and_a_kill_leaves_it_to_itself(write, tmp_path):
    (tmp_path / "long.py").write_text(LONG)
    file = write(
        f"tasks: {{a: {{command: {PYTHON} long.py a}}, b: {{command: {PYTHON} long.py b}}}}"
    )
    root = Path(__file__).parents[3]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    plain |= {"PYTHONPATH": str(root), "XDG_CONFIG_HOME": "/nowhere"}

    def started(flag):
        flag.unlink(missing_ok=True)
        process = subprocess.Popen([PYTHON, "-c", LAUNCH, file], cwd=tmp_path, env=plain)
        while not flag.exists():
            assert process.poll() is None
            time.sleep(0.01)
        return process

    process = started(tmp_path / "a")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert (tmp_path / "a.ended").exists()
    assert not (tmp_path / "b").exists()
    assert json.loads((tmp_path / "tasks" / "a.json").read_text())["state"] == "interrupted"

    process = started(tmp_path / "a")
    process.kill()
    process.wait()
    (tmp_path / "long.py").write_text("")
    outcomes = launch(load_tasks(file))
    assert [outcome.state for outcome in outcomes] == ["elsewhere", "done"]
    os.kill(int((tmp_path / "a").read_text()), signal.SIGKILL)
