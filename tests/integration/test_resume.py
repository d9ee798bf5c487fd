"""A training that was killed goes on as if it had not been: real processes, real SIGKILL."""

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

SCRIPT = Path(__file__).parent / "training.py"


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    for seed, name in enumerate("AB"):
        write_sample(folder / f"sample_{name}.hdf", seed=seed)
    return folder


def started(samples, folder, iterations, num_workers, save_every, method="forkserver", pause=0):
    folder.mkdir(exist_ok=True)
    arguments = [samples, folder, iterations, num_workers, method, save_every, pause]
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def parsed(lines):
    """What each step said, by its iteration; whole lines only."""
    steps = [line.split() for line in lines if line.endswith("\n")]
    return {int(step[0]): tuple(step[1:]) for step in steps if len(step) == 3}


def trained(*args, **options):
    """Train to the end. Returns what each step said."""
    process = started(*args, **options)
    with process.stdout:
        lines = list(process.stdout)
    assert process.wait(60) == 0
    return parsed(lines)


def killed(*args, after, wait=0.0, **options):
    """Train, and kill the process `wait` seconds after an iteration. Returns what steps said."""
    process = started(*args, pause=0.04, **options)
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


def state(folder, iteration):
    """Everything in a checkpoint, as a flat list."""
    fields = torch.load(folder / f"model_checkpoint_{iteration}", weights_only=True)
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


@pytest.fixture(scope="module")
def straight(samples, tmp_path_factory):
    """40 steps without a break."""
    folder = tmp_path_factory.mktemp("straight")
    segments = set(os.listdir("/dev/shm"))
    steps = trained(samples, folder, 40, 2, 20)
    assert sorted(steps) == list(range(1, 41))
    assert set(os.listdir("/dev/shm")) <= segments
    return folder, steps


@pytest.mark.slow
def test_a_killed_training_goes_on_as_one_without_a_break(samples, straight, tmp_path):
    folder, expected = straight
    segments = set(os.listdir("/dev/shm"))
    # Between two checkpoints, at a moment that is another one each time.
    moment = np.random.default_rng().uniform(0, 0.05)
    before = killed(samples, tmp_path, 40, 1, 20, after=25, wait=moment)
    assert not (tmp_path / "model_checkpoint_40").exists()
    after = trained(samples, tmp_path, 40, 0, 20)
    assert sorted(after) == list(range(21, 41))
    # The loss curve and the batches, and everything that is in the checkpoint, to the last bit.
    assert before == {i: expected[i] for i in before}
    assert after == {i: expected[i] for i in after}
    assert state(tmp_path, 20) == state(folder, 20)
    assert state(tmp_path, 40) == state(folder, 40)
    assert set(os.listdir("/dev/shm")) <= segments


@pytest.mark.slow
def test_a_training_may_be_killed_again_and_again(samples, straight, tmp_path):
    folder, expected = straight
    rng = np.random.default_rng()
    workers = [("forkserver", 3), ("thread", 2), ("spawn", 2), ("forkserver", 1)]
    for reached, (method, count) in zip((4, 12, 20, 30), workers, strict=True):
        # A checkpoint after each step: it is killed while it saves, too.
        found = killed(
            samples, tmp_path, 40, count, 1, method=method, after=reached, wait=rng.uniform(0, 0.1)
        )
        assert found == {i: expected[i] for i in found}
    found = trained(samples, tmp_path, 40, 2, 1)
    assert found == {i: expected[i] for i in found}
    assert state(tmp_path, 40) == state(folder, 40)
    assert not list(tmp_path.glob(".*"))
