import hashlib
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import psutil
import pytest
import zarr

import voxflow as gp
from tests.helpers import OneBuffer, asking, children, left_behind
from voxflow.nodes.flow import precache
from voxflow.pipeline.engine.workers import (
    WorkerDied,
    WorkerError,
    WorkerStalled,
    available_cpus,
)

RAW, OTHER = gp.ArrayKey("RAW"), gp.ArrayKey("OTHER")


def make_pipeline(num_workers, method="forkserver", extra=(), stack=0, act=None, **options):
    """Random crops with random brightness, and something that may go wrong on the way."""
    # Defined in here: workers cannot import a module of tests, so classes travel by value.
    import numpy as np

    import voxflow as gp

    class Shift(gp.BatchFilter):
        def draw(self, request, rng):
            return gp.Coordinate(rng.integers(0, 8, 2))

        def prepare(self, request):
            shift = self.plan(request)
            for _, spec in request.items():
                spec.roi = spec.roi.shift(shift)

        def process(self, batch, request):
            for key, spec in request.items():
                batch[key].spec.roi = spec.roi

    class Brightness(gp.BatchFilter):
        def draw(self, request, rng):
            return rng.random()

        def process(self, batch, request):
            raw = gp.ArrayKey("RAW")
            batch[raw].data = batch[raw].data * self.plan(request)

    class Act(gp.BatchFilter):
        def process(self, batch, request):
            act(request)

    spec = gp.ArraySpec(voxel_size=(1, 1))
    image = np.arange(40 * 40, dtype=np.float64).reshape(40, 40)
    pipeline = gp.ArraySource(gp.ArrayKey("RAW"), image, spec=spec) + Shift()
    for node in extra:
        pipeline = pipeline + node
    pipeline = pipeline + Brightness()
    if act is not None:
        pipeline = pipeline + Act()
    pipeline = pipeline + gp.PreCache(4, num_workers, method=method, **options)
    return pipeline + gp.Stack(stack) if stack else pipeline


def nothing():
    import voxflow as gp

    class Nothing(gp.BatchFilter):
        def process(self, batch, request):
            pass

    return Nothing()


def request(size=20):
    return gp.BatchRequest({RAW: gp.Roi((4, 4), (size, size))})


def digest(batch):
    return hashlib.sha256(np.ascontiguousarray(batch[RAW].data).tobytes()).hexdigest()


def served(built, n):
    return [digest(built.request_batch(request())) for _ in range(n)]


def digests(pipeline, n, seed=5):
    with gp.build(pipeline, seed=seed) as built:
        return served(built, n)


@pytest.fixture(scope="module")
def expected():
    found = digests(make_pipeline(0), 12)
    assert len(set(found)) == 12
    return found


@pytest.mark.parametrize(
    ("workers", "method"),
    [
        pytest.param(1, "forkserver", marks=pytest.mark.slow),  # as with a node inserted, below
        (3, "forkserver"),
        (2, "spawn"),
        (2, "thread"),
    ],
)
def test_batches_are_the_same_for_any_workers(workers, method, expected):
    assert digests(make_pipeline(workers, method), 12) == expected


def test_a_node_inserted_elsewhere_changes_no_draw(expected):
    assert digests(make_pipeline(1, extra=[nothing()]), 12) == expected


def test_batches_of_a_stack_come_ahead_too():
    plain = digests(make_pipeline(0, stack=3), 4)
    assert digests(make_pipeline(2, stack=3), 4) == plain


def test_the_run_can_begin_anywhere(expected):
    with gp.build(make_pipeline(2), seed=5) as built:
        built.run.move_to(built.run.next_position.next(7))
        assert [digest(built.request_batch(request())) for _ in range(3)] == expected[7:10]


def test_other_requests_are_served_between(expected):
    with gp.build(make_pipeline(2), seed=5) as built:
        found = []
        for i in range(8):
            size = 10 if i in (2, 5) else 20
            found.append(digest(built.request_batch(request(size))))
    plain = []
    with gp.build(make_pipeline(0), seed=5) as built:
        for i in range(8):
            size = 10 if i in (2, 5) else 20
            plain.append(digest(built.request_batch(request(size))))
    assert found == plain
    assert found[3] == expected[3]


def test_the_usual_request_may_change(expected):
    with gp.build(make_pipeline(2), seed=5) as built:
        for _ in range(3):
            built.request_batch(request(10))
        assert [digest(built.request_batch(request())) for _ in range(6)] == expected[3:9]


def test_a_replay_and_a_jump_leave_the_line_alone(expected):
    with gp.build(make_pipeline(2), seed=5) as built:
        token = built.request_batch(request()).token
        served(built, 2)
        pending = built.output._state._pending
        line = list(pending)
        assert [position.index for position in line] == [3, 4, 5]
        assert digest(built.replay(token)) == expected[0]
        here = built.run.next_position
        built.run.move_to(here.next(6))
        assert served(built, 1) == expected[9:10]
        built.run.move_to(here)
        assert list(pending) == line
        assert served(built, 2) == expected[3:5]
        # Two in a row are a new line.
        built.run.move_to(here.next(-2))
        assert served(built, 1) == expected[1:2]
        assert pending[0].index == 5
        assert served(built, 1) == expected[2:3]
        assert pending[0].index == 3
        assert served(built, 4) == expected[3:7]


def test_nothing_is_made_in_vain_when_the_usual_request_changes(tmp_path):
    folder = str(tmp_path)

    def slow(request):
        import time
        from pathlib import Path

        shape, position = request[gp.ArrayKey("RAW")].roi.shape, request.position
        if shape[0] == 20 and position.index >= 2:
            (Path(folder) / str(position.index)).touch()
            time.sleep(1)

    expected = []
    for workers in (0, 1):
        with gp.build(make_pipeline(workers, act=slow), seed=5) as built:
            served(built, 2)
            found = [digest(built.request_batch(request(10))) for _ in range(5)]
            expected = expected or found
            assert found == expected
    # The next ones were handed out already.
    assert {path.name for path in tmp_path.iterdir()} <= {"2", "3"}


@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_workers_rest_where_batches_are_light(monkeypatch, method):
    # Light whatever else the machine is doing.
    monkeypatch.setattr(precache, "_WORTH", float("inf"))
    monkeypatch.setattr(precache, "_HEAVY", float("inf"))
    with gp.build(make_pipeline(0), seed=5) as built:
        expected = served(built, 60)
    before = {child.pid for child in children()}
    with gp.build(make_pipeline(2, method), seed=5) as built:
        assert served(built, 60) == expected
        assert built.output._state.pool is None
        assert {child.pid for child in children()} <= before


def test_workers_come_back_when_batches_get_heavy(monkeypatch):
    monkeypatch.setattr(precache, "_WORTH", float("inf"))
    monkeypatch.setattr(precache, "_HEAVY", float("inf"))
    here = os.getpid()

    def work(request):
        import os
        import time

        if request.position.index >= 40 and os.getpid() == here:
            time.sleep(0.1)

    with gp.build(make_pipeline(0), seed=5) as built:
        expected = served(built, 110)
    pipeline = make_pipeline(2, act=work)
    with gp.build(pipeline, seed=5) as built:
        assert served(built, 40) == expected[:40]
        state = built.output._state
        assert state.pool is None
        monkeypatch.setattr(precache, "_HEAVY", 0.05)
        assert served(built, 20) == expected[40:60]
        assert state.pool is not None
        assert served(built, 50) == expected[60:]


def test_heavy_batches_are_never_made_here():
    here = os.getpid()

    def work(request):
        import os
        import time

        assert os.getpid() != here
        time.sleep(0.002)

    with gp.build(make_pipeline(2, act=work), seed=5) as built:
        served(built, 50)


def test_as_many_workers_as_there_are_processors():
    assert gp.PreCache().num_workers == available_cpus()


def test_after_an_interrupt_batches_are_still_their_own(expected):
    with gp.build(make_pipeline(2), seed=5) as built:
        served(built, 2)
        pool = built.output._state.pool
        result = pool.result

        def interrupted():
            pool.result = result
            raise KeyboardInterrupt

        pool.result = interrupted
        with pytest.raises(KeyboardInterrupt):
            built.request_batch(request())
        assert served(built, 4) == expected[3:7]


def test_a_seed_of_the_users_own_is_served_as_it_is():
    seeded = gp.BatchRequest({RAW: gp.Roi((4, 4), (20, 20))}, random_seed=3)
    for workers in (0, 2):
        with gp.build(make_pipeline(workers)) as built:
            one, two = (digest(built.request_batch(seeded)) for _ in range(2))
            assert one == two
    with gp.build(make_pipeline(2)) as built:
        token = built.request_batch(request()).token
        assert digest(built.replay(token)) == digest(built.replay(str(token)))


@pytest.mark.parametrize(("workers", "method"), [(2, "forkserver"), (2, "thread")])
def test_nodes_from_outside_that_come_after_draw_the_same_for_any_workers(workers, method):
    class Noise(gp.BatchFilter):
        def process(self, batch, request):
            batch[RAW].data = batch[RAW].data + np.random.rand()

    def pipeline(workers, method="forkserver"):
        spec = gp.ArraySpec(voxel_size=(1, 1))
        source = gp.ArraySource(RAW, np.zeros((40, 40)), spec=spec)
        flow = source + gp.RandomLocation() + gp.PreCache(4, workers, method=method) + Noise()
        return flow + gp.IntensityScaleShift(RAW, 2, 0)

    assert digests(pipeline(workers, method), 3) == digests(pipeline(0), 3)


def test_the_users_random_state_stays(expected):
    import random

    np.random.seed(1)
    random.seed(1)
    before = (np.random.get_state()[1].tolist(), random.getstate())
    digests(make_pipeline(1, extra=[nothing()]), 3)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_in_the_workers_of_another_node_batches_are_made_directly(method):
    def scanned(workers):
        scan = gp.Scan(request(), workers, progress_callback=gp.ScanCallback(), method=method)
        spec = gp.ArraySpec(voxel_size=(1, 1))
        source = gp.ArraySource(RAW, np.arange(1600.0).reshape(40, 40), spec=spec)
        pipeline = source + gp.NoiseAugment(RAW, clip=False) + gp.PreCache(4, 1) + scan
        with gp.build(pipeline, seed=5) as built:
            return digest(built.request_batch(request(30)))

    assert scanned(2) == scanned(1)


def at_batch(index, do):
    def act(request):
        if request.position is not None and request.position.index == index:
            do()

    return act


def kill():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def stop():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGSTOP)


def leave():
    import os

    os._exit(3)


@pytest.mark.parametrize(
    ("do", "kind", "text"),
    [(kill, WorkerDied, "SIGKILL"), (leave, WorkerDied, "3"), (stop, WorkerStalled, "stopped")],
)
def test_a_lost_worker_is_a_named_error_within_seconds(do, kind, text):
    before = set(os.listdir("/dev/shm"))
    with gp.build(make_pipeline(2, act=at_batch(3, do)), seed=5) as built:
        start = time.monotonic()
        with pytest.raises(kind, match=text) as info:
            served(built, 6)
        assert time.monotonic() - start < 60
    assert isinstance(info.value, gp.PipelineRequestError)
    assert not left_behind()
    assert set(os.listdir("/dev/shm")) <= before


def test_an_error_in_a_worker_keeps_its_type_and_says_where():
    def fail():
        raise ZeroDivisionError("one by nothing")

    with gp.build(make_pipeline(2, act=at_batch(2, fail)), seed=5) as built:
        for _ in range(2):
            built.request_batch(request())
        with pytest.raises(ZeroDivisionError, match="one by nothing") as info:
            built.request_batch(request())
        assert isinstance(info.value, gp.PipelineRequestError)
        assert any("in Act" in note for note in info.value.__notes__)
        # The next batch is not concerned.
        assert built.request_batch(request()).token is not None


def test_an_error_that_cannot_be_sent_arrives_as_text():
    def fail():
        class Unsendable(Exception):
            def __init__(self):
                super().__init__("cannot travel")
                self.held = open(os.devnull)  # noqa: SIM115 - held on purpose

            def __reduce__(self):
                raise TypeError("no")

        import os

        raise Unsendable

    with gp.build(make_pipeline(1, act=at_batch(0, fail)), seed=5) as built:
        start = time.monotonic()
        with pytest.raises(WorkerError, match="cannot travel"):
            built.request_batch(request())
        assert time.monotonic() - start < 60
    assert not left_behind()


def test_workers_go_when_the_parent_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, time
            import numpy as np
            import voxflow as gp
            import psutil

            raw = gp.ArrayKey("RAW")
            source = gp.ArraySource(raw, np.zeros((9, 9)), spec=gp.ArraySpec(voxel_size=(1, 1)))
            with gp.build(source + gp.PreCache(4, 2)) as pipeline:
                pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0, 0), (5, 5))}))
                pids = [p.pid for p in psutil.Process().children(recursive=True)]
                print(*pids, flush=True)
                time.sleep(60)
            """
        )
    )
    before = set(os.listdir("/dev/shm"))
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert len(pids) >= 2
    deadline = time.monotonic() + 60
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, pids))
    assert set(os.listdir("/dev/shm")) <= before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cache_size": 0}, "cache_size has to be at least 1"),
        ({"num_workers": -1}, "num_workers has to be 0 or more"),
        ({"method": "fork"}, "'forkserver', 'spawn' or 'thread'"),
    ],
)
def test_refuses_numbers_that_make_no_sense(options, text):
    with pytest.raises(ValueError, match=text):
        gp.PreCache(**options)


@pytest.mark.parametrize(("workers", "method"), [(2, "forkserver"), (2, "thread"), (0, "thread")])
def test_a_restart_forgets_what_was_made_ahead_and_keeps_the_batches(workers, method):
    def batches(restarts):
        pipeline = make_pipeline(workers, method)
        found = []
        with gp.build(pipeline, seed=3):
            cache = pipeline.output
            for i in range(8):
                if i in restarts:
                    cache.restart()
                    cache.restart()
                    assert method == "thread" or not children()
                found.append(pipeline.request_batch(request())[RAW].data.copy())
        cache.restart()
        return found

    for one, other in zip(batches(()), batches((0, 3, 4)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not left_behind()


def test_workers_make_every_other_batch_where_two_processes_share_a_run():
    from voxflow.pipeline.data import RunPosition

    def batches(num_workers):
        pipeline = make_pipeline(num_workers)
        (cache,) = (node for node in pipeline.nodes() if isinstance(node, gp.PreCache))
        cache.stride = 2
        asked = gp.BatchRequest({RAW: gp.Roi((0, 0), (10, 10))})
        with gp.build(pipeline, seed=3):
            found = [
                pipeline.request_batch(asked.at(RunPosition(3, index)))[RAW].data
                for index in (1, 3, 5, 7)
            ]
            ahead = [position.index for position in cache._state._pending]
        return found, ahead

    expected, _ = batches(0)
    found, ahead = batches(1)
    np.testing.assert_array_equal(found, expected)
    assert ahead[:2] == [9, 11]
    assert all(index % 2 for index in ahead)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_batches_that_are_kept_stay_as_they_are_whoever_makes_them(workers, method):
    nodes = OneBuffer(RAW) + gp.PreCache(4, workers, method=method)
    with gp.build(nodes, seed=1) as built:
        kept = [built.request_batch(asking(RAW=((0,), (4,)))) for _ in range(40)]
    values = [batch[RAW].data.tolist() for batch in kept]
    assert all(len(set(four)) == 1 for four in values)
    # Each worker has a buffer of its own, and so has this process, while they rest.
    assert max(values.count(four) for four in values) <= workers + 1


class Mean(gp.BatchFilter):
    """Keeps the array that came first, hands it on, and adds to it later."""

    mean = None

    def process(self, batch, request):
        if self.mean is None:
            self.mean = batch[RAW]
        else:
            self.mean.data[...] += batch[RAW].data


class Ones(gp.BatchProvider):
    def setup(self):
        self.provides(RAW, gp.ArraySpec(gp.Roi((0,), (4,)), (1,)))

    def provide(self, request):
        batch = gp.Batch()
        batch[RAW] = gp.Array(np.ones(4), gp.ArraySpec(request[RAW].roi, (1,)))
        return batch


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("ours", [True, False])
def test_an_array_that_a_node_keeps_is_not_that_of_a_batch(tmp_path, ours, workers):
    source = Ones()
    if ours:
        zarr.create_array(tmp_path / "a.zarr", name="raw", data=np.ones(4))
        source = gp.ZarrSource(tmp_path / "a.zarr", {RAW: "raw"}, {RAW: gp.ArraySpec(None, (1,))})
    with gp.build(source + Mean() + gp.PreCache(3, workers, method="thread")) as pipeline:
        batches = [
            pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((0,), (4,))})) for _ in range(4)
        ]
    assert [batch[RAW].data.tolist() for batch in batches] == [[1.0] * 4] * 4
