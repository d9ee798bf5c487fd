"""Fetches that wait are done ahead and several at once; fetches that work are not."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from itertools import count

import numpy as np
import pytest

from tests.stores.cache.test_cached import CHUNKS, SHAPE, Counted
from voxflow.stores.cache import Arena, CachedDataset
from voxflow.stores.cache.ahead import Waiting, in_background
from voxflow.testing.stores import ramp


@pytest.mark.parametrize(
    ("wall", "work", "pays"),
    [(0.01, 0.0001, True), (0.01, 0.01, False), (0.0001, 0.0, False)],
    ids=["waits", "works", "is quick"],
)
def test_what_pays(monkeypatch, wall, work, pays):
    # By clocks of its own: others of this machine take its time.
    for name, step in (("perf_counter", wall), ("process_time", work)):
        monkeypatch.setattr(f"voxflow.stores.cache.ahead.time.{name}", count(step=step).__next__)
    waiting = Waiting()
    for _ in range(10):
        with waiting.measured():
            pass
    assert waiting.pays == pays


def test_what_was_slow_may_become_quick(monkeypatch):
    waiting = Waiting()
    for wall, calls in ((0.02, 1), (0.00001, 200)):
        for name, step in (("perf_counter", wall), ("process_time", 0.0)):
            monkeypatch.setattr(
                f"voxflow.stores.cache.ahead.time.{name}", count(step=step).__next__
            )
        for _ in range(calls):
            with waiting.measured():
                pass
        assert waiting.pays == (calls == 1)


def test_one_among_others_says_nothing():
    waiting = Waiting()
    with waiting.measured(), waiting.measured():
        time.sleep(0.01)
    assert not waiting.pays


def fetched(log):
    return [line.rsplit(" ", 1)[0] for line in log.read_text().splitlines()]


def test_a_slow_region_is_fetched_at_once(tmp_path):
    slow = Counted(tmp_path / "log", seconds=0.02)
    cached = CachedDataset(slow, Arena(1 << 20))
    cached.read((slice(0, 1),) * 3)  # now it is known
    assert cached.waits
    begun, enough, plain = count(1), threading.Event(), slow.fetch

    def fetch(index):
        if next(begun) == 5:
            enough.set()
        assert enough.wait(60), "fewer than 5 are fetched at once"
        return plain(index)

    slow.fetch = fetch
    data = cached.read((slice(None),) * 3)
    np.testing.assert_array_equal(data, ramp(SHAPE, np.uint32))
    names = fetched(tmp_path / "log")
    assert len(names) == len(set(names)) == int(np.prod(-(-np.array(SHAPE) // CHUNKS)))


def wait_for(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_prefetching(tmp_path):
    slow = Counted(tmp_path / "log", seconds=0.005)
    cached = CachedDataset(slow, Arena(1 << 20))
    region = (slice(0, 16), slice(0, 8), slice(0, 16))
    cached.prefetch(region)
    assert not (tmp_path / "log").exists(), "it is not known yet whether it is of use"
    cached.read((slice(0, 1),) * 3)
    cached.prefetch(region)
    wait_for(lambda: len(fetched(tmp_path / "log")) == 2)
    wait_for(lambda: np.count_nonzero(cached._cells.marks) == 2)
    np.testing.assert_array_equal(cached.read(region), ramp(SHAPE, np.uint32)[region])
    assert fetched(tmp_path / "log") == ["(0, 0, 0)", "(1, 0, 0)"]


def test_errors_wait_for_the_reader(tmp_path):
    slow = Counted(tmp_path / "log", seconds=0.005)
    cached = CachedDataset(slow, Arena(1 << 20))
    cached.read((slice(0, 1),) * 3)

    def broken(index):
        time.sleep(0.005)
        raise OSError(f"the network is gone at {index}")

    slow.fetch = broken
    cached.prefetch((slice(8, 24),) * 3)
    with pytest.raises(OSError, match=r"gone at \(1, 0, 0\)"):
        cached.read((slice(8, 24), slice(0, 8), slice(0, 16)))


def test_no_task_keeps_others_from_being_done():
    done = threading.Event()
    for _ in range(40):
        in_background(lambda: 1 / 0)
    in_background(done.set)
    assert done.wait(60)


def test_no_more_is_fetched_ahead_than_there_is_room_for(tmp_path):
    slow = Counted(tmp_path / "log", seconds=0.005)
    room = 4 * int(np.prod(CHUNKS)) * 4
    cached = CachedDataset(slow, Arena(room))
    cached.read((slice(0, 1),) * 3)
    assert cached.waits
    cached.read((slice(None),) * 3)
    chunks = int(np.prod(-(-np.array(SHAPE) // CHUNKS)))
    assert len(fetched(tmp_path / "log")) <= chunks + 3


def test_what_nobody_has_any_more_is_not_fetched(tmp_path):
    slow = Counted(tmp_path / "log", (8000, 8, 16), (8, 8, 16), seconds=0.02)
    cached = CachedDataset(slow, Arena(1 << 24))
    cached.read((slice(0, 1),) * 3)
    cached.prefetch()
    del cached
    gc.collect()
    done = threading.Event()
    # After all that was in line before, in which there may be no room yet.
    wait_for(lambda: in_background(done.set) or done.is_set())
    assert len(fetched(tmp_path / "log")) < 100


def test_one_thread_at_a_time_fetches_nothing_ahead(tmp_path):
    slow = Counted(tmp_path / "log", seconds=0.005)
    slow.concurrent = False
    cached = CachedDataset(slow, Arena(1 << 20))
    cached.read((slice(0, 1),) * 3)
    assert not cached.waits


SCRIPT = """
    import os, sys, threading, time
    from pathlib import Path
    from tests.stores.cache.test_cached import Counted
    from voxflow.stores.cache import Arena, CachedDataset

    cached = CachedDataset(Counted(Path(sys.argv[1]), seconds=0.3), Arena(1 << 20))
    cached.read((slice(0, 1),) * 3)
    cached.prefetch((slice(None),) * 3)
"""


def run(tmp_path, text):
    script = textwrap.dedent(SCRIPT) + textwrap.dedent(text)
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "log")]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_threads_end_before_the_interpreter(tmp_path):
    done = run(
        tmp_path,
        """
        import atexit
        from voxflow.stores.cache import ahead

        def alive():
            return [t for t in threading.enumerate() if t.name.startswith("voxflow-ahead")]

        time.sleep(0.1)
        assert alive()
        ahead._leave()
        assert not alive()
        ahead.in_background(lambda: None)
        assert not alive()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(fetched(tmp_path / "log")) < 27, "what was in line is dropped"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_in_the_midst_of_it(tmp_path):
    done = run(
        tmp_path,
        """
        from voxflow.stores.cache import ahead

        time.sleep(0.1)
        assert ahead._pool._busy
        child = os.fork()
        if not child:
            assert ahead._pool is None
            cached.read((slice(None),) * 3)
            cached.prefetch((slice(None),) * 3)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        before = threading.active_count()
        cached.read((slice(None),) * 3)
        assert threading.active_count() == before, "the threads go on"
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
