"""Jobs are done ahead, so many at a time, and come in order."""

import threading
import time
from functools import partial
from itertools import count, islice

import numpy as np
import pytest

from tests.helpers import left_behind
from voxflow.pipeline.engine.workers import prefetch


class Watched:
    """Jobs that know how many of them are at work."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.lock = threading.Lock()
        self.live = self.peak = self.taken = 0
        self.all_three = threading.Barrier(3, timeout=60)

    def jobs(self):
        for i in count():
            self.taken += 1
            yield partial(self.work, i, self.rng.uniform(0, 0.01))

    def work(self, i, seconds):
        with self.lock:
            self.live += 1
            self.peak = max(self.peak, self.live)
        if i < 3:
            self.all_three.wait()
        time.sleep(seconds)
        with self.lock:
            self.live -= 1
        return i


def test_so_many_at_a_time_and_in_order():
    watched = Watched()
    results = prefetch(watched.jobs(), 3, method="thread")
    assert watched.taken == 0
    assert list(islice(results, 20)) == list(range(20))
    # Those that were asked for, and those on which the workers are.
    assert watched.taken == 23
    assert watched.peak == 3
    results.close()


def test_fewer_jobs_than_workers():
    assert list(prefetch([lambda: 1], 4, method="thread")) == [1]
    assert list(prefetch([], method="thread")) == []


def test_a_job_that_fails_ends_it():
    def fails():
        raise KeyError("no file")

    results = prefetch([lambda: 1, fails, lambda: 3], method="thread")
    assert next(results) == 1
    with pytest.raises(KeyError, match="no file"):
        next(results)
    assert list(results) == []


def test_processes_get_functions_by_value_and_arrays_are_not_copied():
    size = 1 << 20
    jobs = [lambda i=i: np.full(size, i, np.uint8) for i in range(4)]
    found = list(prefetch(jobs, 2))
    assert [int(array[-1]) for array in found] == [0, 1, 2, 3]
    # A view of shared memory.
    assert not any(array.flags.owndata for array in found)
    assert not left_behind()


def test_mistakes_are_told_at_once():
    with pytest.raises(ValueError, match="num_workers=0"):
        prefetch([], 0)
