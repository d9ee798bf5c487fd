"""Scans with workers that a batch system starts: one is played by a script on the path."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from voxflow.stores import open_dataset

SCRIPT = Path(__file__).parent / "scripts" / "scan_cluster.py"

SBATCH = """#!/bin/sh
# Runs a script as a job of its own, in a session of its own, and waits for it.
echo "$@" >> "$SBATCH_LOG"
while [ "${1#-}" != "$1" ]; do shift; done
exec setsid --wait sh "$@"
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sbatch").write_text(SBATCH)
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SBATCH_LOG", str(tmp_path / "jobs"))
    monkeypatch.setenv("DAISY_HOST", "127.0.0.1")
    return tmp_path


def scan(folder, workers, what):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(workers), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def workers_of(folder):
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "voxflow.nodes.scanning.worker" in line and any(str(folder) in part for part in line):
            found.append(process)
    return found


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.mark.slow
def test_two_of_four_workers_are_killed_and_all_blocks_are_done(cluster):
    process = scan(cluster, 4, "work")
    try:
        wait_for(lambda: len(list((cluster / "workers").glob("*"))) >= 3)
        killed = workers_of(cluster)[:2]
        assert len(killed) == 2
        for worker in killed:
            worker.send_signal(signal.SIGKILL)
        output, errors = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert output.split() == ["100", "0"]
    wanted = np.load(cluster / "wanted.npy")
    found = open_dataset(cluster / "out.zarr", "volumes/raw").read()
    np.testing.assert_array_equal(found, wanted)
    jobs = (cluster / "jobs").read_text().splitlines()
    assert len(jobs) >= 4
    assert all(job.startswith("--wait --cpus-per-task=1 ") for job in jobs)
    wait_for(lambda: not workers_of(cluster))


def test_a_task_that_always_raises_stops_within_its_budget(cluster):
    process = scan(cluster, 2, "fail")
    output, errors = process.communicate(timeout=110)
    assert process.returncode != 0
    assert "RuntimeError: nothing can be made of" in errors
    assert "5 blocks in a row failed with this error" in errors
    begun = [
        line for log in (cluster / "workers").glob("*") for line in log.read_text().split("\n")
    ]
    # The first, and for each worker as many as the budget allows.
    assert len(begun) <= 1 + 2 * (5 + 1) + 5
    assert not output
    wait_for(lambda: not workers_of(cluster))
