"""Processes that produce without being asked."""

import gc
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from voxflow.pipeline.engine.workers.producer_pool import NoResult, ProducerPool, WorkersDied

SECONDS = 60

# What newer Pythons say of forks, which are what gunpowder's users have.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


class Counter:
    """Gives 0, 1, 2, ... in its process, with its number."""

    def __init__(self, number):
        self.number = number
        self.count = itertools.count()

    def __call__(self):
        return self.number, next(self.count)


def pid():
    return os.getpid()


def silent():
    time.sleep(0.01)


def die():
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    raise SystemExit(3)


def drawn():
    time.sleep(0.05)
    return np.random.randint(2**31)


class Fails:
    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        if self.count % 2:
            raise KeyError(f"mine {self.count}")
        return self.count


class Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} {b}")


def fails_unpicklable():
    raise Unpicklable("not", "picklable")


def lambda_as_result():
    return lambda: 0


@pytest.fixture(params=["fork", "spawn"])
def method(request, monkeypatch):
    """As tests of gunpowder do it: another start method in the place of the usual one."""
    context = multiprocessing.get_context(request.param)
    for name in ("Process", "Queue", "Event"):
        monkeypatch.setattr(multiprocessing, name, getattr(context, name))
    return request.param


@pytest.fixture
def pools():
    made = []

    def make(*callables, **options):
        pool = ProducerPool(list(callables), **options)
        made.append(pool)
        pool.start()
        return pool

    yield make
    for pool in made:
        pool.stop()


def is_gone(number):
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition, seconds=SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_all_results_of_each_worker_arrive_in_its_order(method, pools):
    pool = pools(Counter(0), Counter(1), queue_size=3)
    seen = {0: [], 1: []}
    while min(map(len, seen.values())) < 20:
        number, count = pool.get(timeout=SECONDS)
        seen[number].append(count)
    for counts in seen.values():
        assert counts == list(range(len(counts)))


def test_workers_are_other_processes_and_end_with_the_pool(method, pools):
    pool = pools(pid, pid)
    found = set()
    while len(found) < 2:
        found.add(pool.get(timeout=SECONDS))
    assert os.getpid() not in found
    pool.stop()
    pool.stop()
    assert all(map(is_gone, found))
    with pytest.raises(RuntimeError, match="not running"):
        pool.get(timeout=1)
    with pytest.raises(RuntimeError, match="has been stopped"):
        pool.start()


def test_a_worker_that_waits_for_room_ends_too(pools):
    pool = pools(lambda: np.zeros(10**6), queue_size=1)
    pool.get(timeout=SECONDS)
    workers = [worker.pid for worker in pool._workers]
    time.sleep(0.5)
    pool.stop()
    assert all(map(is_gone, workers))


def test_none_is_not_a_result_and_waiting_ends(pools):
    pool = pools(silent)
    start = time.monotonic()
    with pytest.raises(NoResult, match=r"within 0\.5 s"):
        pool.get(timeout=0.5)
    assert time.monotonic() - start > 0.4


def test_what_a_worker_raises_is_raised_and_it_goes_on(pools):
    pool = pools(Fails())
    for number in range(1, 7):
        if number % 2:
            with pytest.raises(KeyError, match=f"mine {number}"):
                pool.get(timeout=SECONDS)
        else:
            assert pool.get(timeout=SECONDS) == number


@pytest.mark.parametrize(
    ("produce", "told"),
    [(fails_unpicklable, "not picklable"), (lambda_as_result, "pickle")],
)
def test_what_cannot_be_sent_is_told_and_nobody_waits(pools, produce, told):
    pool = pools(produce)
    with pytest.raises(Exception, match=told):
        pool.get(timeout=SECONDS)


@pytest.mark.parametrize(("death", "code"), [(die, -9), (leave, 3)])
def test_a_dead_worker_is_an_error_soon(pools, death, code):
    pool = pools(silent, death)
    workers = [worker.pid for worker in pool._workers]
    start = time.monotonic()
    with pytest.raises(WorkersDied, match=f"producer 1.*exit code {code}") as caught:
        pool.get()
    assert time.monotonic() - start < SECONDS
    assert caught.value.exitcode == code
    assert all(map(is_gone, workers))


def nothing():
    return None


@pytest.mark.parametrize("times", [4, pytest.param(12, marks=pytest.mark.slow)])
def test_a_worker_can_be_killed_at_any_time(pools, times):
    # It does nothing but look whether to go on, and must not hold anything then.
    for _ in range(times):
        pool = pools(nothing, nothing)
        time.sleep(0.05)
        os.kill(pool._workers[0].pid, signal.SIGKILL)
        with pytest.raises(WorkersDied):
            pool.get(timeout=SECONDS)
        assert not any(worker.is_alive() for worker in pool._workers)


def test_workers_that_produce_much_stop_as_they_are_told(pools):
    pool = pools(*[lambda: bytes(10**6)] * 3, queue_size=1)
    pool.get(timeout=SECONDS)
    pool.stop()
    assert [worker.exitcode for worker in pool._workers] == [0, 0, 0]


def test_workers_draw_different_numbers(pools):
    np.random.seed(7)
    pool = pools(drawn, drawn)
    seen = [pool.get(timeout=SECONDS) for _ in range(10)]
    assert len(set(seen)) == 10


def test_a_pool_that_is_forgotten_ends_its_workers():
    pool = ProducerPool([silent, silent])
    pool.start()
    workers = [worker.pid for worker in pool._workers]
    assert not any(map(is_gone, workers))
    del pool
    gc.collect()
    wait_until(lambda: all(map(is_gone, workers)))


def test_a_second_start_is_a_warning_and_no_more(pools, caplog):
    pool = pools(silent)
    workers = list(pool._workers)
    pool.start()
    assert "running already" in caplog.text
    assert pool._workers == workers


PARENT = """
import time
from voxflow.pipeline.engine.workers.producer_pool import ProducerPool

def full(): return bytes(10**6)
def busy(): time.sleep(1000)

pool = ProducerPool([full, busy, full], queue_size=1)
pool.start()
pool.get()
print(*[worker.pid for worker in pool._workers], flush=True)
time.sleep(1000)
"""


def test_workers_end_with_a_parent_that_is_killed():
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(workers) == 3
    wait_until(lambda: all(map(is_gone, workers)))


FORGOTTEN = """
import weakref
class Early: pass
early = Early()
weakref.finalize(early, int)  # as any library may have done before us
import time
from voxflow.pipeline.engine.workers.producer_pool import ProducerPool

def produce():
    time.sleep(0.01)
    return 1

pool = ProducerPool([produce, produce])
pool.start()
print(pool.get(timeout=60), *[worker.pid for worker in pool._workers])
"""


def test_a_program_ends_although_nobody_stopped_its_pool():
    done = subprocess.run(
        [sys.executable, "-c", FORGOTTEN], capture_output=True, text=True, timeout=60, check=True
    )
    one, *workers = map(int, done.stdout.split())
    assert (one, len(workers)) == (1, 2)
    assert all(map(is_gone, workers))


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="0 callables"):
        ProducerPool([])
    with pytest.raises(ValueError, match="queue_size=0"):
        ProducerPool([silent], queue_size=0)
    with pytest.raises(RuntimeError, match="not running"):
        ProducerPool([silent]).get()
    ProducerPool([silent]).stop()
