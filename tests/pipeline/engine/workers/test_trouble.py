"""Workers that die or stall, and parents that do: a named error in time, nothing left."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import psutil
import pytest

from voxflow.pipeline.engine.workers import WorkerDied, WorkerPool, WorkerStalled

from .conftest import eventually, shm_names

pytestmark = pytest.mark.usefixtures("clean_house")

PROCESSES = ("forkserver", "spawn")
# How workers are started makes no difference to what is seen of them.
ONE_OF_THEM = ("forkserver", pytest.param("spawn", marks=pytest.mark.slow))
SOON = 30.0
"""Seconds: far below those after which a worker is given up by itself, whatever else runs."""


def make_serve():
    def serve(task):
        if task == "exit":
            os._exit(5)
        if task == "crash":
            ctypes.string_at(0)
        if task == "hang":
            time.sleep(1000)
        if task == "spin":
            while True:
                pass
        if isinstance(task, float):
            end = time.process_time() + task
            while time.process_time() < end:
                pass
        return os.getpid(), np.zeros(50_000)

    return serve


def started(method, **kwargs):
    pool = WorkerPool(make_serve(), 2, method=method, ahead=4, name="train", **kwargs)
    pool.start()
    pids = set()
    while len(pids) < 2:
        for task in range(4):
            pool.submit(task)
        pids |= {pool.result()[0] for _ in range(4)}
    return pool, sorted(pids)


def alive(pid):
    # A container's first process may take its time to collect orphans that have died.
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive_of(pids):
    return [pid for pid in pids if alive(pid)]


def ask_until_it_raises(pool):
    while True:
        pool.submit(0)
        pool.result()


def expect(pool, pids, error, text):
    """The error must come in time, by each call, and after everything was ended."""
    begin = time.monotonic()
    with pytest.raises(error, match=text) as caught:
        ask_until_it_raises(pool)
    assert time.monotonic() - begin < SOON
    assert not alive_of(pids)
    with pytest.raises(error):
        pool.result()
    pool.stop()
    return caught.value


@pytest.mark.parametrize("method", ONE_OF_THEM)
def test_killed_while_idle_is_noticed_unasked(method):
    pool, pids = started(method)
    os.kill(pids[0], signal.SIGKILL)
    assert eventually(lambda: not alive_of(pids))
    error = expect(pool, pids, WorkerDied, r"died: SIGKILL \(probably out of memory; it last held")
    assert (error.pid, error.exitcode) == (pids[0], -9)
    assert "waiting for a task" in str(error)


@pytest.mark.parametrize("method", ONE_OF_THEM)
def test_killed_at_work_while_the_parent_waits(method):
    pool, pids = started(method)
    pool.submit("hang")
    threading.Timer(0.3, lambda: [os.kill(pid, signal.SIGKILL) for pid in pids]).start()
    expect(pool, pids, WorkerDied, "train.*died: SIGKILL")


@pytest.mark.parametrize("method", ONE_OF_THEM)
def test_os_exit_is_named(method):
    pool, pids = started(method)
    pool.submit("exit")
    error = expect(pool, pids, WorkerDied, "it exited with code 5, although nobody")
    assert "working on task" in str(error)
    assert error.exitcode == 5


def test_a_crash_shows_its_stack():
    pool, pids = started("forkserver")
    pool.submit("crash")
    error = expect(pool, pids, WorkerDied, "SIGSEGV")
    assert "string_at" in str(error)


@pytest.mark.parametrize("method", ONE_OF_THEM)
def test_a_stopped_worker_is_named(method, monkeypatch):
    if method == "spawn":  # once is enough to wait in full
        monkeypatch.setattr("voxflow.pipeline.engine.workers.health.STOPPED_SECONDS", 0.8)
    pool, pids = started(method)
    os.kill(pids[1], signal.SIGSTOP)
    for _ in range(4):
        pool.submit(0)
    error = expect(pool, pids, WorkerStalled, "is stopped")
    assert error.pid == pids[1]


def test_a_stuck_task_shows_where():
    pool, pids = started("forkserver", stall_timeout=1.0)
    pool.submit("hang")
    error = expect(pool, pids, WorkerStalled, "has made no progress for .*stall_timeout=1")
    assert "in serve" in error.stack
    assert "'hang'" in str(error)


@pytest.mark.slow
def test_a_busy_task_may_take_longer_but_not_for_ever():
    pool, pids = started("forkserver", stall_timeout=0.5)
    pool.submit(0.8)
    assert pool.result()[0]
    pool.submit("spin")
    expect(pool, pids, WorkerStalled, "is still busy after")


def test_a_stuck_thread_is_named():
    release = threading.Event()
    with WorkerPool(
        lambda i: release.wait(), 1, method="thread", ahead=1, name="t", stall_timeout=0.5
    ) as pool:
        pool.submit(0)
        with pytest.raises(WorkerStalled, match="no progress") as caught:
            pool.result()
        release.set()
    assert "release.wait" in caught.value.stack


def test_a_dead_fork_server_is_named():
    pool, pids = started("forkserver")
    (server,) = [p for p in psutil.Process().children() if p.children()]
    server.kill()
    expect(pool, pids, WorkerDied, "fork server")


def script(tmp_path, text):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(text))
    return [sys.executable, "-W", "error", str(path)]


PARENT = """
    import os, sys, time
    import numpy as np
    from voxflow.pipeline.engine.workers import WorkerPool

    def serve(i):
        if i == "hang":
            time.sleep(1000)
        return os.getpid(), np.zeros(10**6)

    pool = WorkerPool(serve, 2, method="{method}", ahead=8, name="orphans")
    pool.start()
    for i in range(4):
        pool.submit(i)
    held = [pool.result() for i in range(4)]
    for i in range(2):
        pool.submit("hang")
    print(*dict.fromkeys(pid for pid, _ in held), flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("stop_one", [False, True])
@pytest.mark.parametrize("method", PROCESSES)
def test_workers_end_with_a_killed_parent(method, stop_one, tmp_path):
    names = shm_names()
    command = script(tmp_path, PARENT.format(method=method))
    temp = tmp_path / "temp"
    temp.mkdir()
    environment = {**os.environ, "TMPDIR": str(temp), "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        workers = [int(p) for p in parent.stdout.readline().split()]
        everyone = psutil.Process(parent.pid).children(recursive=True)
        assert {p.pid for p in everyone} >= set(workers)
        if stop_one:
            os.kill(workers[0], signal.SIGSTOP)
        parent.kill()
    assert eventually(lambda: not alive_of(p.pid for p in everyone))
    assert shm_names() <= names
    assert list(temp.iterdir()) == []


GUARDLESS = """
    import dataclasses
    from abc import ABC, abstractmethod
    import numpy as np
    import voxflow
    from voxflow.pipeline.engine.workers import WorkerPool

    print("once")
    scale = 10

    class Base(ABC):
        instances = 0
        def __init__(self, start):
            self.start = start
            Base.instances += 1
        @abstractmethod
        def __call__(self, task): ...

    @dataclasses.dataclass(frozen=True)
    class Shift:
        by: int

    class Node(Base):
        def __init__(self, start):
            super().__init__(start)
            self.lut = np.arange(10)
        def draw(self, task):
            return Shift(task.by * scale)
        def __call__(self, task):
            if task.by == 9:
                raise Trouble("nine")
            assert isinstance(task, Shift)
            return self.draw(task), helper(self.start), type(self) is Node

    class Trouble(ValueError):
        pass

    def helper(x):
        return x if x > 3 else helper(x + 1)

    with WorkerPool(Node(1), 2, method="{method}", ahead=2, name="script") as pool:
        for i in (1, 2, 9):
            pool.submit(Shift(i))
        for i in (1, 2):
            assert pool.result() == (Shift(10 * i), 4, True)
        try:
            pool.result()
        except Trouble as error:
            print("Trouble", error)
    forgotten = WorkerPool(Node(1), 2, method="{method}", ahead=2, name="script")
    forgotten.start()
    forgotten.submit(Shift(1))
"""


@pytest.mark.parametrize("method", PROCESSES)
def test_a_script_without_main_guard(method, tmp_path):
    command = script(tmp_path, GUARDLESS.format(method=method))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110)
    assert (done.stdout, done.stderr, done.returncode) == ("once\nTrouble nine\n", "", 0)
