"""Workers start where they save time, and only there."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import source
from voxflow.nodes.scanning import worth
from voxflow.nodes.scanning.worth import WorkersPay
from voxflow.stores import open_dataset

RAW = gp.ArrayKey("RAW")
REFERENCE = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4))})
BLOCKS = 5 * 6


@pytest.fixture(autouse=True)
def seconds(monkeypatch):
    """What workers have to save, and a clock that a test moves."""
    monkeypatch.setattr(worth, "_WORTH", 5.0)
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(worth.time, "monotonic", lambda: clock.now)
    return clock


def job_of(blocks, timeout=None):
    return SimpleNamespace(
        blocks=range(blocks), done=1, policy=SimpleNamespace(timeout=timeout), failed=0
    )


def done_here(job, pay, clock, each, fails=False):
    """How many blocks are done before it is known that workers pay."""
    count = 0
    for _ in pay.until(range(1, len(job.blocks))):
        clock.now += each
        job.done += not fails
        count += 1
    return count


@pytest.mark.parametrize(
    ("blocks", "each", "workers", "here"),
    [
        (100, 0.01, 2, 99),  # 1 s in all
        (1000, 0.01, 2, 999),  # 10 s, of which two workers would save less than 5
        (1001, 0.01, 8, 50),  # eight would save more: known as soon as the pace is
        (2000, 0.01, 2, 50),
        (10, 4.0, 2, 1),
        (3, 4.0, 2, 2),
    ],
)
def test_blocks_are_done_here_while_workers_would_not_pay(seconds, blocks, each, workers, here):
    job = job_of(blocks)
    pay = WorkersPay(job, workers, 1.0)
    assert done_here(job, pay, seconds, each) == here
    assert pay.known == (here < blocks - 1)


def test_a_first_block_that_takes_long_says_it_at_once(seconds):
    job = job_of(3)
    pay = WorkersPay(job, 2, 6.0)
    assert pay.known
    assert done_here(job, pay, seconds, 0.01) == 0


def test_blocks_with_a_time_limit_are_for_workers():
    assert WorkersPay(job_of(3, timeout=60), 2, 0.01).known


def test_blocks_that_all_fail_here_are_not_taken_for_fast_ones(seconds):
    job = job_of(100)
    pay = WorkersPay(job, 2, 0.1)
    assert done_here(job, pay, seconds, 0.25, fails=True) == 2


class Leave(gp.BatchFilter):
    """Leaves a line for every block, with the process that made it."""

    def __init__(self, folder):
        self.folder = str(folder)

    def process(self, batch, request):
        with open(Path(self.folder) / "made", "a") as file:
            file.write(f"{os.getpid()}\n")


def test_a_short_scan_starts_no_worker_and_one_that_goes_on_does(tmp_path, monkeypatch):
    monkeypatch.undo()
    data = np.arange(20 * 24).reshape(20, 24)

    def scan():
        nodes = source(RAW, data, (1, 1)) + Leave(tmp_path)
        nodes += gp.ZarrWrite({RAW: "raw"}, tmp_path, "out.zarr")
        return gp.scan(nodes, REFERENCE, num_workers=2, progress=gp.ScanCallback())

    assert scan().blocks == BLOCKS
    assert (tmp_path / "made").read_text().split() == [str(os.getpid())] * BLOCKS
    # As if it had been ended there.
    (log,) = (tmp_path / "out.zarr/raw/.scan").glob("done-*.log")
    os.truncate(log, 8 * (BLOCKS - 1))
    assert scan().done_before == BLOCKS - 1
    assert (tmp_path / "made").read_text().split()[-1] != str(os.getpid())
    np.testing.assert_array_equal(open_dataset(tmp_path / "out.zarr", "raw").read(), data)
