"""What is read through the cache is what is in the file, whoever reads, and decoded once."""

import itertools
import os
import pickle
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.pipeline.engine.workers import WorkerDied, WorkerPool
from voxflow.stores import MissingChunk, create_dataset, open_dataset
from voxflow.stores.base import StoredDataset
from voxflow.stores.cache import Arena, CachedDataset
from voxflow.testing.stores import StoreTests, ramp, random_region, run_forked

SHAPE, CHUNKS = (24, 40, 36), (8, 8, 16)


class TestCachedHdf5(StoreTests):
    def make(self, folder, shape, dtype, chunks):
        return create_dataset(
            folder / "a.hdf", "raw", shape, dtype, chunks=chunks, compression="gzip"
        )

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.split(":")
        plain = open_dataset(store, path, mode, missing_chunks=missing_chunks)
        kept = mode == "r" and plain.read_grid is not None
        return CachedDataset(plain, Arena(1 << 20)) if kept else plain


class TestCachedZarr(TestCachedHdf5):
    def make(self, folder, shape, dtype, chunks):
        return create_dataset(folder / "a.zarr", "raw", shape, dtype, chunks=chunks)


class Counted(StoredDataset):
    """A ramp in chunks, of any number of axes, which notes in a file what is fetched by whom."""

    def __init__(self, log, shape=SHAPE, grid=CHUNKS, seconds=0.0):
        super().__init__("r")
        self._log, self._shape, self._grid, self._seconds = log, shape, grid, seconds
        self._dtype = np.dtype(np.uint32)

    chunks = property(lambda self: self._grid)
    read_grid = property(lambda self: self._grid)
    attrs = property(lambda self: {})
    ancestors = property(lambda self: ())
    uri = property(lambda self: "counted")
    concurrent = True

    def fetch(self, index):
        with open(self._log, "a") as log:
            log.write(f"{index} {os.getpid()}\n")
        time.sleep(self._seconds)
        return super().fetch(index)

    def _read(self, region, bounds):
        return ramp(self._shape, np.uint32)[region]

    def _write(self, region, bounds, data):
        raise NotImplementedError

    def fetched(self):
        with open(self._log) as log:
            return [line.rsplit(" ", 1) for line in log.read().splitlines()]


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "log").touch()
    return Counted(str(tmp_path / "log"))


def check(dataset, region):
    np.testing.assert_array_equal(dataset.read(region), ramp(SHAPE, np.uint32)[region])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=6), st.data())
def test_any_number_of_axes(tmp_path_factory, axes, data):
    shape, grid = tuple(n for n, _ in axes), tuple(size for _, size in axes)
    log = tmp_path_factory.mktemp("log") / "log"
    log.touch()
    dataset = CachedDataset(
        Counted(str(log), shape, grid), Arena(data.draw(st.sampled_from([1, 1 << 20])))
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    for _ in range(4):
        region = random_region(shape, rng)
        np.testing.assert_array_equal(dataset.read(region), ramp(shape, np.uint32)[region])


def test_each_chunk_is_fetched_once(counted):
    dataset = CachedDataset(counted, Arena(1 << 24))
    rng = np.random.default_rng(0)
    for _ in range(40):
        check(dataset, random_region(SHAPE, rng))
    check(dataset, ())
    fetched = [index for index, _ in counted.fetched()]
    assert len(fetched) == len(set(fetched)) == 3 * 5 * 3


def test_what_is_read_belongs_to_the_caller(counted):
    dataset = CachedDataset(counted, Arena(1 << 24))
    for _ in range(2):
        dataset.read(())[...] = 0
    check(dataset, ())


def test_only_what_is_stored_in_chunks_can_be_kept(tmp_path):
    plain = create_dataset(tmp_path / "a.hdf", "raw", (0, 4), "u1", chunks=None)
    with pytest.raises(ValueError, match="not stored in chunks"):
        CachedDataset(plain, Arena(100))


# -- the budget ---------------------------------------------------------------------------------


def memory_of(arena):
    """What the system says that it takes."""
    return os.fstat(arena._memory.fd).st_blocks * 512


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="memory is given back on Linux only")
def test_the_budget_holds(counted):
    page = 4096  # 8 * 8 * 16 voxels of 4 bytes: a chunk is one page
    arena = Arena(10 * page)
    dataset = CachedDataset(counted, arena)
    rng = np.random.default_rng(0)
    for _ in range(100):
        check(dataset, random_region(SHAPE, rng))
        assert arena.used <= 10 * page
        assert memory_of(arena) <= 10 * page + 4 * page
    assert len(counted.fetched()) > 45


def test_datasets_share_the_budget(tmp_path):
    arena, datasets = Arena(20 * 4096), []
    for name in "ab":
        (tmp_path / name).touch()
        datasets.append(CachedDataset(Counted(str(tmp_path / name)), arena))
    for _ in range(3):
        for dataset in datasets:
            check(dataset, ())
            assert arena.used <= 20 * 4096


def test_what_was_read_lately_stays(counted):
    dataset = CachedDataset(counted, Arena(20 * 4096))
    often = (slice(0, 8), slice(0, 8))
    for row in range(5):
        check(dataset, often)
        check(dataset, (slice(8, 24), slice(8 * row, 8 * row + 8)))
    first = [index for index, _ in counted.fetched() if index.startswith("(0, 0,")]
    assert len(first) == 3


def test_what_a_scan_comes_back_to_stays(tmp_path):
    shape, page = (64, 64, 160), 4096  # 8 x 8 x 10 chunks
    (tmp_path / "log").touch()
    counted = Counted(str(tmp_path / "log"), shape)
    dataset = CachedDataset(counted, Arena(5 * 8 * 8 * page))  # of the 10 planes
    data = ramp(shape, np.uint32)
    for at in itertools.product(range(0, 160, 16), range(0, 64, 8), range(0, 64, 8)):
        region = tuple(
            slice(max(0, begin - 1), min(extent, begin + size + 1))
            for begin, size, extent in zip(at[::-1], CHUNKS, shape, strict=True)
        )
        np.testing.assert_array_equal(dataset.read(region), data[region])
    fetched = [index for index, _ in counted.fetched()]
    assert len(set(fetched)) == 640
    assert len(fetched) < 1.02 * 640


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="memory is given back on Linux only")
def test_a_limit_holds_for_a_while_also_in_workers(counted):
    arena = Arena(1 << 24)
    dataset = CachedDataset(counted, arena)
    check(dataset, ())
    assert arena.used == 45 * 4096
    with arena.limited(20 * 4096), arena.limited(10 * 4096):
        assert arena.used <= 10 * 4096
        check(dataset, ())
        assert arena.used <= 10 * 4096
        assert memory_of(arena) <= 14 * 4096
        with WorkerPool(Reads(dataset), 1, ahead=1, name="cache") as pool:
            pool.submit(0)
            assert isinstance(pool.result(), int)
        assert arena.used <= 10 * 4096
    check(dataset, ())
    assert arena.used == 45 * 4096


def test_memory_is_given_back_with_the_dataset(counted):
    arena = Arena(1 << 24)
    dataset = CachedDataset(counted, arena)
    check(dataset, ())
    assert arena.used == 45 * 4096
    del dataset
    assert arena.used == 0
    assert memory_of(arena) <= 4 * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="counts the open files that Linux lists")
def test_datasets_that_are_gone_keep_no_files_open(counted):
    arena = Arena(1 << 24)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        check(CachedDataset(counted, arena), ())
    # Those of the last one are closed when the next one comes.
    assert len(os.listdir("/proc/self/fd")) <= before + 2


# -- several readers ----------------------------------------------------------------------------


class Reads:
    """Reads random regions, and says whether each was right."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __call__(self, seed):
        rng = np.random.default_rng(seed)
        for _ in range(10):
            region = random_region(SHAPE, rng)
            if not np.array_equal(self.dataset.read(region), ramp(SHAPE, np.uint32)[region]):
                return f"wrong at {region}"
        return os.getpid()


@pytest.mark.parametrize(
    "method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow), "thread"]
)
def test_workers_fetch_each_chunk_once(counted, method):
    dataset = CachedDataset(counted, Arena(1 << 24))
    check(dataset, (slice(0, 8),))
    with WorkerPool(Reads(dataset), 3, ahead=12, name="cache", method=method) as pool:
        for seed in range(12):
            pool.submit(seed)
        answers = [pool.result() for _ in range(12)]
    assert all(isinstance(answer, int) for answer in answers), answers
    fetched = [index for index, _ in counted.fetched()]
    assert len(fetched) == len(set(fetched))
    check(dataset, ())
    assert len(counted.fetched()) == 45


@pytest.mark.parametrize("method", [pytest.param("forkserver", marks=pytest.mark.slow), "thread"])
def test_workers_read_the_truth_while_memory_is_short(counted, method):
    arena = Arena(6 * 4096)
    dataset = CachedDataset(counted, arena)
    with WorkerPool(Reads(dataset), 4, ahead=40, name="cache", method=method) as pool:
        for seed in range(40):
            pool.submit(seed)
        answers = [pool.result() for _ in range(40)]
    assert all(isinstance(answer, int) for answer in answers), answers
    assert arena.used <= 10 * 4096  # as much more as there are readers


def test_two_workers_that_want_the_same_chunk_wait_for_one(tmp_path):
    (tmp_path / "log").touch()
    slow = Counted(str(tmp_path / "log"), seconds=0.3)
    dataset = CachedDataset(slow, Arena(1 << 24))

    def serve(_):
        return dataset.read((slice(0, 8), slice(0, 8), slice(0, 16))).sum()

    with WorkerPool(serve, 2, ahead=2, name="cache") as pool:
        for task in range(2):
            pool.submit(task)
        assert pool.result() == pool.result()
    assert len(slow.fetched()) == 1


def test_a_worker_that_is_killed_leaves_no_half_chunk(tmp_path):
    (tmp_path / "log").touch()
    slow = Counted(str(tmp_path / "log"), seconds=0.002)
    dataset = CachedDataset(slow, Arena(8 * 4096))
    for delay in (0.02, 0.1):
        with WorkerPool(Reads(dataset), 2, ahead=30, name="cache") as pool:
            for seed in range(30):
                pool.submit(seed)
            victim = pool.result()
            threading.Timer(delay, os.kill, (victim, signal.SIGKILL)).start()
            with pytest.raises(WorkerDied):
                for _ in range(29):
                    assert isinstance(pool.result(), int)
        assert Reads(dataset)(7) == os.getpid()


def test_threads_in_one_process(counted):
    dataset = CachedDataset(counted, Arena(1 << 24))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(Reads(dataset), range(40)))
    assert set(answers) == {os.getpid()}
    fetched = [index for index, _ in counted.fetched()]
    assert len(fetched) == len(set(fetched))


def test_forks_share_as_well(counted):
    dataset = CachedDataset(counted, Arena(1 << 24))
    check(dataset, (slice(0, 8),))

    def child():
        return Reads(dataset)(0) == os.getpid()

    assert run_forked(child)
    check(dataset, ())
    fetched = [index for index, _ in counted.fetched()]
    assert len(fetched) == len(set(fetched)) == 45
    assert len({pid for _, pid in counted.fetched()}) == 2


def test_copies_elsewhere_are_on_their_own(counted):
    dataset = CachedDataset(counted, Arena(1 << 24))
    check(dataset, ())
    there = pickle.loads(pickle.dumps(dataset))
    check(there, ())
    assert len(counted.fetched()) == 90


def test_all_missing_chunks_are_told(tmp_path):
    stored = create_dataset(tmp_path / "a.hdf", "raw", (4, 4), "u1", chunks=(2, 2))
    stored.write((slice(0, 2),), np.ones((2, 4), "u1"))
    del stored
    dataset = CachedDataset(open_dataset(tmp_path / "a.hdf", "raw"), Arena(1 << 20))
    for _ in range(2):
        with pytest.raises(MissingChunk, match="2 of the 4 chunks"):
            dataset.read(())
    np.testing.assert_array_equal(dataset.read((slice(0, 2),)), np.ones((2, 4)))
