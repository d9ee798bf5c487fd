"""A training that is killed again and again ends as one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from voxflow.training import read_events

EXAMPLE = Path(__file__).parents[2] / "examples" / "toy"
STEPS = 60

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A folder with the example and its data."""
    folder = tmp_path_factory.mktemp("toy")
    make = [sys.executable, EXAMPLE / "make_data.py", "--out", folder / "data"]
    subprocess.run(make, check=True, env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])})
    (folder / "toy.yaml").write_text((EXAMPLE / "toy.yaml").read_text())
    return folder


def started(toy, folder, workers, *more):
    """``voxflow train`` in a process group of its own."""
    small = [
        "device=cpu",
        "data.input_shape=[52,52]",
        f"data.workers={workers}",
        "validation.batches=1",
        "validation.every.steps=5",
        "schedules.optimizer.lr.every=7",
        "step.average=0.9",
        f"stop.steps={STEPS}",
        "checkpoints.last.steps=4",
        "checkpoints.every.steps=9",
        "checkpoints.keep=2",
    ]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    plain |= {"XDG_CONFIG_HOME": "/nowhere", "PYTHONPATH": str(EXAMPLE.parents[1])}
    command = [sys.executable, "-m", "voxflow.cli", "train", "toy.yaml", *small]
    return subprocess.Popen(
        [*command, "--run-dir", str(folder), *more],
        cwd=toy,
        env=plain,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def done_steps(folder):
    """How many lines of losses there are, whatever became of them."""
    try:
        return (folder / "events.jsonl").read_bytes().count(b'"name":"loss"')
    except FileNotFoundError:
        return 0


def killed(process, folder, steps, pause, all_of_it):
    """Kill it when it has made so many steps more, and a moment later; and all its workers."""
    goal, since = done_steps(folder) + steps, time.monotonic()
    while done_steps(folder) < goal and process.poll() is None:
        assert time.monotonic() - since < 120
        time.sleep(0.002)
    time.sleep(pause)
    alive = process.poll() is None
    if all_of_it:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    _, said = process.communicate()
    assert alive, said


def finished(process):
    _, said = process.communicate(timeout=250)
    assert process.returncode == 0, said


def final(folder):
    found = torch.load(folder / "checkpoints" / "final.pt", weights_only=True)
    del found["extra"]["clock"]
    for event in ("last", "every"):  # hours of the clock are none of steps
        assert found["extra"]["keeper"][1][event]["hours_done"] is None
    return found


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def history(folder):
    """What was measured, but for times."""
    left_out = ("resumed", "stopped", "iterations_per_second", "voxels_per_second")
    events = read_events(folder)
    return [(e.step, e.name, e.value) for e in events if e.name not in left_out]


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_left_alone(toy, tmp_path):
    alone, broken = tmp_path / "alone", tmp_path / "broken"
    finished(started(toy, alone, 0))
    draw = random.Random()
    # The first is before there is any checkpoint; once, workers have to find their own end.
    plan = [(0, 2, True), (1, 9, True), (2, 7, False), (0, 11, True), (2, 6, True)]
    for number, (workers, steps, all_of_it) in enumerate(plan):
        process = started(toy, broken, workers, *(["--resume"] if number else []))
        pause = draw.uniform(0, 0.06)
        print(f"workers {workers}: killed {1e3 * pause:.1f} ms after {steps} steps")
        killed(process, broken, steps, pause, all_of_it)
    finished(started(toy, broken, 1, "--resume"))
    assert same(final(alone), final(broken))
    assert history(alone) == history(broken)
    losses = [step for step, name, _ in history(broken) if name == "loss"]
    assert losses == list(range(1, STEPS + 1))
    assert not list((broken / "checkpoints").glob(".*"))
