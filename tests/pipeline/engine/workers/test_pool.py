"""Results: in order, complete, without copies, and safe to hold."""

import gc
import os
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from voxflow.pipeline.engine.workers import NotPicklable, WorkerFailed, WorkerPool

pytestmark = pytest.mark.usefixtures("clean_house")

PROCESSES = ("forkserver", "spawn")
ALL = (*PROCESSES, "thread")
# For what does not depend on how a process is started.
FEWER = ("forkserver", pytest.param("spawn", marks=pytest.mark.slow), "thread")


def unpicklable():
    return (i for i in range(3))


def run(serve, tasks, method, num_workers=2, ahead=4, **kwargs):
    with WorkerPool(serve, num_workers, method=method, ahead=ahead, name="test", **kwargs) as pool:
        for task in tasks:
            pool.submit(task)
        return [pool.result() for _ in tasks]


@pytest.mark.parametrize("method", ALL)
def test_results_come_in_order_of_submission(method):
    offset = 100

    def serve(i):
        time.sleep(0.02 if i % 3 == 0 else 0.0)  # later tasks finish earlier
        return i + offset

    assert run(serve, range(30), method) == [i + 100 for i in range(30)]


@pytest.mark.parametrize("method", PROCESSES)
def test_every_kind_of_array_arrives_equal_and_writable(method):
    def make(kind):
        ramp = np.arange(2 * 300 * 400, dtype=np.uint64).reshape(2, 300, 400) + (2**64 - 10**6)
        frozen = ramp.copy()
        frozen.flags.writeable = False
        small = np.arange(5)
        small.flags.writeable = False
        return {
            "plain": ramp,
            "fortran": np.asfortranarray(ramp),
            "crop": ramp[:, 3:-3, 5:-1],
            "mirrored": ramp[:, ::-1, ::-1],
            "frozen": frozen,
            "broadcast": np.broadcast_to(np.float32(7), (300, 300)),
            "small": small,
            "empty": np.zeros((0, 3)),
            "scalar": np.array(3.5),
            "objects": np.array([{"a": 1}, None], dtype=object),
            "dates": np.arange(20000).astype("datetime64[s]"),
            "fields": np.zeros(20000, dtype=[("a", "i4"), ("b", "f8")]),
            "big": np.arange(9000, dtype=">f8"),
            "bytes": bytes(200_000),
        }

    expected = make(0)
    (got,) = run(make, [0], method, num_workers=1)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        if name == "bytes":
            assert got[name] == value
            continue
        np.testing.assert_array_equal(got[name], value)
        assert got[name].dtype == value.dtype, name
        assert got[name].flags.writeable, name
    for name in ("plain", "fortran", "crop", "mirrored", "frozen", "broadcast"):
        assert got[name].ctypes.data % 64 == 0, name
        assert not got[name].flags.owndata, name


def test_held_arrays_are_never_overwritten():
    def serve(i):
        return np.full(100_000 + 5000 * (i % 7), i, np.int64)

    with WorkerPool(serve, 2, ahead=3, name="test") as pool:
        for i in range(120):
            pool.submit(i)
        held = {}
        for i in range(120):
            array = pool.result()
            if i % 5 == 0:
                held[i] = array[10:-10]  # a view is enough to hold a slot
            for k, view in held.items():
                assert view[0] == view[-1] == k
                assert view.min() == k
            array += 10**6  # writing is allowed, and goes to this array only
            if i in held:
                array -= 10**6
    for k, view in held.items():  # also after the pool has gone
        assert (view == k).all()


def test_slots_are_used_again_and_not_hoarded():
    def serve(i):
        return os.getpid(), np.full(500_000, i, np.float32)

    def mapped(pid):
        maps = psutil.Process(pid).memory_maps(grouped=False)
        return sum("memfd:voxflow" in m.path for m in maps)

    with WorkerPool(serve, 1, ahead=2, name="test") as pool:
        for i in range(300):
            pool.submit(i)
        for i in range(200):
            pid, array = pool.result()
            assert array[0] == i
        del array
        few = mapped(pid)
        assert few <= 8
        held = [pool.result() for _ in range(60)]
        many = mapped(pid)
        held.clear()
        for _ in range(20):
            pool.result()
        assert pool.pending == 20
        # More than 2 * ahead + 16 held slots are not made: later results were copied out.
        assert few < many <= 30
        wait_for(lambda: mapped(pid) <= 8)


def test_results_of_growing_size():
    sizes = [10, 10**5, 10**6, 3 * 10**6, 10**4, 5 * 10**6]
    got = run(lambda n: np.full(n, n, np.uint32), sizes, "forkserver", num_workers=1)
    assert [(len(a), a[-1]) for a in got] == [(n, n) for n in sizes]


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_no_more_than_ahead_are_made_unasked(tmp_path):
    folder = str(tmp_path)

    def serve(i):
        open(os.path.join(folder, str(i)), "w").close()
        return np.zeros(50_000)

    with WorkerPool(serve, 2, ahead=3, name="test") as pool:
        for i in range(10):
            pool.submit(i)
        wait_for(lambda: len(os.listdir(folder)) >= 3)
        time.sleep(0.5)  # time enough to do what must not be done
        assert sorted(os.listdir(folder)) == ["0", "1", "2"]
        pool.result()
        assert pool.pending == 9
        wait_for(lambda: len(os.listdir(folder)) >= 4)
        time.sleep(0.3)
        assert sorted(os.listdir(folder)) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("method", FEWER)
def test_an_exception_comes_in_its_turn_and_the_pool_goes_on(method):
    def serve(i):
        if i == 1:
            error = ValueError("the one is bad")
            error.add_note("asked for (1, 2, 3) nm")
            raise error
        return i

    with WorkerPool(serve, 2, method=method, ahead=4, name="test") as pool:
        for i in range(4):
            pool.submit(i)
        assert pool.result() == 0
        with pytest.raises(ValueError, match="the one is bad") as caught:
            pool.result()
        assert [pool.result(), pool.result()] == [2, 3]
    notes = "\n".join(caught.value.__notes__)
    assert "asked for (1, 2, 3) nm" in notes
    assert "failed in task 1" in notes
    if method != "thread":
        assert "raise error" in notes
        assert "Traceback" in notes
        assert isinstance(caught.value.__cause__, WorkerFailed)
        assert caught.value.__cause__.type_name == "builtins.ValueError"


@pytest.mark.parametrize("method", FEWER[:2])
def test_an_exception_that_cannot_be_rebuilt_comes_as_text(method):
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")
            self.lock = threading.Lock()

    def serve(i):
        if i == 2:
            sys.exit(3)
        error = Odd("salt", "pepper")
        error.add_note("in the kitchen")
        raise error

    with WorkerPool(serve, 1, method=method, ahead=2, name="test") as pool:
        pool.submit(0)
        pool.submit(2)
        with pytest.raises(WorkerFailed, match="Odd: salt and pepper") as caught:
            pool.result()
        with pytest.raises(WorkerFailed, match="SystemExit: 3"):
            pool.result()
    assert caught.value.remote_notes == ("in the kitchen",)
    assert "raise error" in caught.value.remote_traceback


def test_a_result_that_cannot_be_sent_is_named():
    def serve(i):
        return {"raw": np.zeros(10), "extra": [1, unpicklable()]} if i else "fine"

    with WorkerPool(serve, 1, ahead=2, name="test") as pool:
        for i in (1, 0):
            pool.submit(i)
        with pytest.raises(WorkerFailed, match=r"result\['extra'\]\[1\] cannot be pickled"):
            pool.result()
        assert pool.result() == "fine"


@pytest.mark.parametrize("method", PROCESSES)
def test_work_that_cannot_be_sent_is_refused_before_anything_starts(method):
    class Node:
        def __init__(self):
            self.settings = {"guard": unpicklable()}

        def __call__(self, i):
            return i

    nodes = [Node()]
    pool = WorkerPool(lambda i: nodes[0](i), 2, method=method, ahead=2, name="test")
    before = set(psutil.Process().children())
    with pytest.raises(NotPicklable, match=r"nodes\[0\]\.settings\['guard'\].*thread") as caught:
        pool.start()
    assert isinstance(caught.value, TypeError)
    assert set(psutil.Process().children()) == before
    pool.stop()


def test_a_task_that_cannot_be_sent_is_refused_at_once():
    with WorkerPool(lambda t: 0, 1, ahead=1, name="test") as pool:
        with pytest.raises(NotPicklable, match=r"task\['lock'\]"):
            pool.submit({"lock": unpicklable()})
        pool.submit(lambda: 3)
        assert pool.result() == 0


def test_a_worker_that_cannot_start_says_why():
    def setup():
        raise KeyError("no such dataset")

    def ask(pool):
        pool.submit(0)
        pool.result()

    with (
        WorkerPool(lambda i: i, 2, ahead=2, name="test", setup=setup) as pool,
        pytest.raises(WorkerFailed, match=r"could not start: builtins\.KeyError"),
    ):
        ask(pool)


@pytest.mark.parametrize("method", ALL)
def test_setup_runs_before_the_first_task(method):
    state = []
    got = run(lambda i: list(state), [0], method, num_workers=1, setup=lambda: state.append("up"))
    assert got == [["up"]] or method != "thread"
    if method != "thread":
        assert state == []


def test_workers_cap_threads_and_ignore_ctrl_c():
    def serve(i):
        import signal

        return os.environ["OMP_NUM_THREADS"], signal.getsignal(signal.SIGINT) == signal.SIG_IGN

    before = dict(os.environ)
    with WorkerPool(serve, 2, ahead=2, name="test") as pool:
        pool.submit(0)
        cap, ignored = pool.result()
    assert dict(os.environ) == before
    assert int(cap) * 2 <= max(2, os.cpu_count())
    assert ignored


def test_big_arrays_of_the_work_are_shared_until_written():
    big = np.arange(2_000_000)

    def serve(i):
        shared = any("memfd:voxflow" in m.path and m.rss > 10**7 for m in maps())
        big[0] += 1
        return shared, int(big[0]), int(big.sum())

    def maps():
        return psutil.Process().memory_maps(grouped=False)

    total = int(big.sum())
    got = run(serve, range(2), "forkserver", num_workers=1)
    assert [g[1:] for g in got] == [(1, total + 1), (2, total + 2)]
    assert got[1][0]
    assert big[0] == 0


@pytest.mark.parametrize("method", FEWER)
def test_a_forgotten_pool_stops(method):
    pool = WorkerPool(lambda i: i, 2, method=method, ahead=2, name="gone")
    pool.start()
    pool.submit(0)
    assert pool.result() == 0
    del pool
    gc.collect()
    assert not [t for t in threading.enumerate() if t.name.startswith("voxflow-gone")]


@pytest.mark.parametrize("method", FEWER)
def test_stop_is_idempotent_and_final(method):
    pool = WorkerPool(lambda i: i, 1, method=method, ahead=2, name="test")
    with pytest.raises(RuntimeError, match="not been started"):
        pool.submit(0)
    pool.stop()
    pool.start()
    with pytest.raises(RuntimeError, match="started before"):
        pool.start()
    with pytest.raises(RuntimeError, match="No result is pending"):
        pool.result()
    pool.stop()
    pool.stop()
    with pytest.raises(RuntimeError, match="has been stopped"):
        pool.submit(0)
    assert pool.pending == 0


def test_threads_hand_over_the_object_itself():
    array = np.zeros(3)
    (got,) = run(lambda i: array, [0], "thread")
    assert got is array


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"num_workers": 0}, "num_workers=0"),
        ({"ahead": 0}, "ahead=0"),
        ({"method": "fork"}, "'fork'"),
        ({"stall_timeout": 0}, "stall_timeout"),
    ],
)
def test_wrong_arguments_are_refused(kwargs, text):
    arguments = {"num_workers": 1, "ahead": 1, "name": "test"} | kwargs
    with pytest.raises(ValueError, match=text):
        WorkerPool(abs, **arguments)


@pytest.mark.parametrize("method", FEWER)
def test_tasks_that_no_worker_has_begun_can_be_dropped(method, tmp_path):
    go = str(tmp_path / "go")

    def serve(i):
        deadline = time.monotonic() + 20
        while not os.path.exists(go) and time.monotonic() < deadline:
            time.sleep(0.01)
        return i

    with WorkerPool(serve, 1, method=method, ahead=10, name="test") as pool:
        for i in range(10):
            pool.submit(i)
        dropped = pool.discard()
        assert dropped >= 9
        pool.submit("next")
        (tmp_path / "go").touch()
        expected = [*range(10 - dropped), "next"]
        assert pool.pending == len(expected)
        assert [pool.result() for _ in expected] == expected
