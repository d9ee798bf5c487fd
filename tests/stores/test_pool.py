"""Where a process reads alone, datasets that know how keep decoded chunks themselves."""

import gc
import pickle
import weakref

import numpy as np
import pytest

from voxflow.stores import MissingChunk, create_dataset, open_dataset
from voxflow.stores.cache import Arena, CachedDataset
from voxflow.testing.stores import ramp

SHAPE, CHUNKS = (24, 40, 36), (8, 8, 16)
PART = (slice(3, 20), slice(5, 33), slice(7, 30))


@pytest.fixture
def arena():
    return Arena(1 << 20)


def stored(folder, name="a.zarr"):
    data = ramp(SHAPE, np.uint32)
    create_dataset(folder / name, "raw", SHAPE, np.uint32, chunks=CHUNKS).write((), data)
    return data


@pytest.mark.parametrize("name", ["a.zarr", "a.hdf"])
def test_the_same_is_read(tmp_path, arena, name):
    data = stored(tmp_path, name)
    cached = CachedDataset(open_dataset(tmp_path / name, "raw"), arena)
    with arena.alone():
        np.testing.assert_array_equal(cached.read(PART), data[PART])
        # Only where the dataset does not know how, the arena keeps its chunks.
        assert (arena.used == 0) == (name == "a.zarr")
        copy = pickle.loads(pickle.dumps(cached))
        np.testing.assert_array_equal(copy.read(PART), data[PART])
    np.testing.assert_array_equal(cached.read(PART), data[PART])
    assert arena.used > 0


def test_chunks_are_decoded_once(tmp_path, arena):
    data = stored(tmp_path)
    cached = CachedDataset(open_dataset(tmp_path / "a.zarr", "raw"), arena)
    with arena.alone():
        cached.read()
        for path in (tmp_path / "a.zarr" / "raw").iterdir():
            if not path.name.startswith("."):
                path.unlink()
        with arena.alone():  # still the same one
            np.testing.assert_array_equal(cached.read(PART), data[PART])
    with arena.alone(), pytest.raises(MissingChunk, match="are not stored"):
        cached.read(PART)


def test_a_missing_chunk_is_told(tmp_path, arena):
    create_dataset(tmp_path / "a.zarr", "raw", SHAPE, np.uint32, chunks=CHUNKS)
    cached = CachedDataset(open_dataset(tmp_path / "a.zarr", "raw"), arena)
    with arena.alone(), pytest.raises(MissingChunk, match="are not stored"):
        cached.read(PART)


def test_nothing_is_kept_afterwards(tmp_path, arena):
    stored(tmp_path)
    cached = CachedDataset(open_dataset(tmp_path / "a.zarr", "raw"), arena)
    with arena.alone():
        cached.read(PART)
        pool = weakref.ref(arena.pool)
    gc.disable()
    try:
        assert pool() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("guess", [PART, (slice(0, 8), slice(0, 8), slice(0, 16))])
def test_what_was_read_ahead_is_what_is_read(tmp_path, arena, guess):
    data = stored(tmp_path)
    cached = CachedDataset(open_dataset(tmp_path / "a.zarr", "raw"), arena)
    with arena.alone():
        cached.read_ahead(guess)
        for region in (PART, PART):
            read = cached.read(region)
            np.testing.assert_array_equal(read, data[region])
            read[:] = 0  # is the caller's own
    cached.read_ahead(guess)  # of no use where it is not alone, and no harm
    np.testing.assert_array_equal(cached.read(PART), data[PART])


def test_a_chunk_that_is_missing_ahead_is_told_when_it_is_read(tmp_path, arena):
    create_dataset(tmp_path / "a.zarr", "raw", SHAPE, np.uint32, chunks=CHUNKS)
    cached = CachedDataset(open_dataset(tmp_path / "a.zarr", "raw"), arena)
    with arena.alone():
        cached.read_ahead(PART)
        with pytest.raises(MissingChunk, match="are not stored"):
            cached.read(PART)


def test_of_several_the_last_one_ends_it(arena):
    one, other = arena.alone(), arena.alone()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert arena.pool is not None
    other.__exit__(None, None, None)
    assert arena.pool is None
