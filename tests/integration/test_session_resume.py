"""A session that was killed goes on as if it had not been: real processes, real SIGKILL."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.integration.data import write_sample
from voxflow.training import load_newest_checkpoint, read_events

ROOT = Path(__file__).parents[2]
STEPS = 30


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    for seed, name in enumerate("AB"):
        write_sample(folder / f"sample_{name}.hdf", seed=seed)
    return folder


def started(samples, folder, num_workers, save_every, pause=0.0):
    arguments = [samples, folder, STEPS, num_workers, save_every, pause]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.session_training", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def parsed(lines):
    """What each step said, by its number; whole lines only."""
    steps = [line.split() for line in lines if line.endswith("\n")]
    return {int(step[0]): tuple(step[1:]) for step in steps if len(step) == 3}


def trained(*args, **options):
    process = started(*args, **options)
    with process.stdout:
        lines = list(process.stdout)
    assert process.wait(60) == 0
    return parsed(lines)


def killed(*args, after, wait=0.0):
    """Train, and kill the process `wait` seconds after a step. Returns what steps said."""
    process = started(*args, pause=0.04)
    lines = []
    with process.stdout:
        while not lines or int(lines[-1].split()[0]) < after:
            lines.append(process.stdout.readline())
            assert lines[-1], "the training ended by itself"
        time.sleep(wait)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    return parsed(lines)


def state(folder):
    """Everything in the final checkpoint but the time that it took, as a flat list."""
    fields = torch.load(folder / "checkpoints" / "final.pt", weights_only=True)
    del fields["extra"]["clock"]
    found = []

    def walk(value):
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                found.append(key)
                walk(value[key])
        elif isinstance(value, list | tuple):
            for entry in value:
                walk(entry)
        else:
            found.append(value.numpy().tobytes() if isinstance(value, torch.Tensor) else value)

    walk(fields)
    return found


def history(folder):
    """What was measured, in its order."""
    return [
        (event.step, event.name, event.value)
        for event in read_events(folder)
        if event.name.startswith(("loss", "validation", "gradient"))
    ]


@pytest.fixture(scope="module")
def straight(samples, tmp_path_factory):
    """All steps without a break."""
    folder = tmp_path_factory.mktemp("straight")
    steps = trained(samples, folder, 2, 10)
    assert sorted(steps) == list(range(1, STEPS + 1))
    return folder, steps


@pytest.mark.slow
def test_a_killed_session_goes_on_as_one_without_a_break(samples, straight, tmp_path):
    folder, expected = straight
    segments = set(os.listdir("/dev/shm"))
    # Between two checkpoints, at a moment that is another one each time.
    moment = np.random.default_rng().uniform(0, 0.05)
    before = killed(samples, tmp_path, 1, 10, after=14, wait=moment)
    _, found = load_newest_checkpoint(tmp_path / "checkpoints")
    assert found.iteration == 10
    after = trained(samples, tmp_path, 0, 10)
    assert sorted(after) == list(range(11, STEPS + 1))
    # The loss curve and the batches, and everything that is in the checkpoint, to the last bit.
    assert before == {i: expected[i] for i in before}
    assert after == {i: expected[i] for i in after}
    assert state(tmp_path) == state(folder)
    assert history(tmp_path) == history(folder)
    assert set(os.listdir("/dev/shm")) <= segments


@pytest.mark.slow
def test_a_session_may_be_killed_again_and_again(samples, straight, tmp_path):
    folder, expected = straight
    rng = np.random.default_rng()
    for reached, workers in zip((4, 12, 20), (3, 0, 2), strict=True):
        # A checkpoint after each step: it is killed while it saves, too.
        found = killed(samples, tmp_path, workers, 1, after=reached, wait=rng.uniform(0, 0.1))
        assert found == {i: expected[i] for i in found}
    found = trained(samples, tmp_path, 2, 10)
    assert found == {i: expected[i] for i in found}
    assert history(tmp_path) == history(folder)
    assert not list((tmp_path / "checkpoints").glob(".*"))
    # What the triggers of the checkpoints did is not the same, as they were others.
    mine, theirs = (load_newest_checkpoint(path / "checkpoints")[1] for path in (tmp_path, folder))
    assert mine.model.keys() == theirs.model.keys()
    assert all(torch.equal(value, theirs.model[name]) for name, value in mine.model.items())
