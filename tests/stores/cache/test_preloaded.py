import os
import pickle

import numpy as np
import pytest

from voxflow.pipeline.engine.workers import WorkerPool
from voxflow.stores import MissingChunk, StoreUnusable, create_dataset, open_dataset
from voxflow.stores.cache import Arena, PreloadedDataset, preloaded
from voxflow.stores.cache.preloaded import _blocks
from voxflow.testing.stores import StoreTests, ramp, random_region

SHAPE = (12, 20, 9)


class TestPreloaded(StoreTests):
    reads_missing = False  # all of it is read at once

    def make(self, folder, shape, dtype, chunks):
        return create_dataset(folder / "a.zarr", "raw", shape, dtype, chunks=chunks)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.split(":")
        plain = open_dataset(store, path, mode, missing_chunks=missing_chunks)
        return PreloadedDataset(plain, Arena(0)) if mode == "r" else plain


@pytest.fixture
def stored(tmp_path):
    dataset = create_dataset(tmp_path / "a.hdf", "raw", SHAPE, "u2", chunks=(4, 8, 8))
    dataset.write((), ramp(SHAPE, "u2"))
    del dataset
    return open_dataset(tmp_path / "a.hdf", "raw")


def test_regions_lie_in_memory(stored):
    dataset = PreloadedDataset(stored, Arena(0))
    rng = np.random.default_rng(0)
    for _ in range(20):
        region = random_region(SHAPE, rng)
        seen = dataset.look(region)
        np.testing.assert_array_equal(seen, ramp(SHAPE, "u2")[region])
        assert not seen.flags.writeable
        assert np.shares_memory(seen, dataset.look()) or not seen.size
        dataset.read(region)[...] = 0
    np.testing.assert_array_equal(dataset.look(), ramp(SHAPE, "u2"))
    assert dataset.dtype == np.uint16


def test_workers_have_the_same_memory(stored):
    arena = Arena(0)
    dataset = PreloadedDataset(stored, arena)
    before = os.fstat(arena._memory.fd).st_blocks

    def serve(region):
        seen = dataset.look(region)
        return seen.copy(), os.fstat(dataset._arena._memory.fd).st_ino

    inode = os.fstat(arena._memory.fd).st_ino
    with WorkerPool(serve, 2, ahead=4, name="preload") as pool:
        for z in range(4):
            pool.submit((slice(z, z + 1),))
        for z in range(4):
            seen, there = pool.result()
            np.testing.assert_array_equal(seen, ramp(SHAPE, "u2")[z : z + 1])
            assert there == inode
    assert os.fstat(arena._memory.fd).st_blocks == before


def test_memory_is_given_back(stored):
    arena = Arena(0)
    dataset = PreloadedDataset(stored, arena)
    before = os.fstat(arena._memory.fd).st_blocks
    del dataset
    assert os.fstat(arena._memory.fd).st_blocks < before


def test_copies_elsewhere_read_anew(stored):
    there = pickle.loads(pickle.dumps(PreloadedDataset(stored, Arena(0))))
    np.testing.assert_array_equal(there.look(), ramp(SHAPE, "u2"))


def test_more_than_there_is_memory(stored, monkeypatch):
    monkeypatch.setattr(preloaded, "free_memory", lambda: 100)
    with pytest.raises(StoreUnusable, match=r"GiB are free: leave out cache='ram'"):
        PreloadedDataset(stored, Arena(0))


def test_missing_chunks_are_found_at_once(tmp_path):
    create_dataset(tmp_path / "a.zarr", "raw", (8,), "u1", chunks=(4,))
    with pytest.raises(MissingChunk):
        PreloadedDataset(open_dataset(tmp_path / "a.zarr", "raw"), Arena(0))
    filled = open_dataset(tmp_path / "a.zarr", "raw", missing_chunks="fill")
    assert not PreloadedDataset(filled, Arena(0)).look().any()


@pytest.mark.parametrize("grid", [None, (4, 8, 8)])
@pytest.mark.parametrize("shape", [(3, 20, 9), (1, 1, 1), (200, 2000, 900)])
def test_blocks_cover_everything_once(shape, grid):
    seen = np.zeros(shape, np.uint8) if np.prod(shape) < 10**6 else None
    total = 0
    for region in _blocks(shape, grid, 8):
        sizes = [r.stop - r.start for r in region]
        total += np.prod(sizes)
        assert np.prod(sizes) * 8 <= 64 << 20
        if grid is not None:
            assert all(r.start % g == 0 for r, g in zip(region, grid, strict=True))
        if seen is not None:
            seen[region] += 1
    assert total == np.prod(shape)
    assert seen is None or (seen == 1).all()
