"""What tensorstore reads is what zarr reads."""

import os

import numcodecs
import numpy as np
import pytest
import zarr

from voxflow.stores import MissingChunk, open_dataset
from voxflow.stores.zarr_fast import quick_array
from voxflow.testing.stores import ramp, random_region, run_forked

SHAPE, CHUNKS = (9, 14, 11), (4, 5, 6)
KINDS = {
    "v2 gzip": {"zarr_format": 2, "compressors": numcodecs.GZip()},
    "v2 blosc": {"zarr_format": 2, "compressors": numcodecs.Blosc("lz4")},
    "v2 zstd": {"zarr_format": 2, "compressors": numcodecs.Zstd()},
    "v2 plain": {"zarr_format": 2, "compressors": None},
    "v3": {"zarr_format": 3},
    "v3 shards": {"zarr_format": 3, "shards": (8, 10, 12)},
}


def make(path, dtype="u8", **options):
    data = ramp(SHAPE, dtype)
    array = zarr.create_array(str(path), shape=SHAPE, chunks=CHUNKS, dtype=dtype, **options)
    array[:] = data
    return data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u8", "f4", ">i2", "bool"])
def test_reads_what_zarr_reads(tmp_path, kind, dtype):
    data = make(tmp_path / "a.zarr", dtype, **KINDS[kind])
    dataset = open_dataset(tmp_path / "a.zarr")
    assert dataset._quick is not None
    rng = np.random.default_rng(1)
    for _ in range(10):
        region = random_region(SHAPE, rng)
        got = dataset.read(region)
        np.testing.assert_array_equal(got, data[region])
        assert got.dtype == np.dtype(dtype).newbyteorder("=")
        assert got.flags.c_contiguous
        assert got.flags.writeable
    np.testing.assert_array_equal(dataset.fetch((2, 2, 1)), data[8:, 10:, 6:])


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_that_are_not_there(tmp_path, kind):
    array = zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=SHAPE,
        chunks=CHUNKS,
        dtype="u1",
        fill_value=7,
        **KINDS[kind],
    )
    array[:4, :5, :6] = 1
    filled = open_dataset(tmp_path / "a.zarr", missing_chunks="fill")
    assert filled.read()[8, 13, 10] == 7
    strict = open_dataset(tmp_path / "a.zarr")
    assert strict.read((slice(0, 4), slice(0, 5), slice(0, 6))).all()
    with pytest.raises(MissingChunk, match=r"are not stored: (chunk|shard)"):
        strict.read()


def test_what_was_written_since_is_seen(tmp_path):
    make(tmp_path / "a.zarr", **KINDS["v3"])
    dataset = open_dataset(tmp_path / "a.zarr", mode="r+")
    before = dataset.read()
    dataset.write((slice(0, 2),), before[:2] + 1)
    np.testing.assert_array_equal(dataset.read((slice(0, 2),)), before[:2] + 1)


def test_a_codec_that_only_zarr_knows(tmp_path):
    data = make(tmp_path / "a.zarr", "u2", zarr_format=2, compressors=numcodecs.LZMA())
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.zarr").read(), data)


def test_what_is_left_to_zarr(tmp_path):
    make(tmp_path / "a.zarr", "c8", **KINDS["v3"])
    array = zarr.open_array(str(tmp_path / "a.zarr"))
    assert quick_array(tmp_path / "a.zarr", "", array, "error", "r+") is None
    memory = zarr.create_array(zarr.storage.MemoryStore(), shape=(3,), dtype="u1")
    assert quick_array({}, "", memory, "error", "r+") is None
    scalar = zarr.create_array(str(tmp_path / "b.zarr"), shape=(), dtype="u1")
    assert quick_array(tmp_path / "b.zarr", "", scalar, "error", "r+") is None


def test_a_fork_does_without(tmp_path):
    data = make(tmp_path / "a.zarr", **KINDS["v3"])
    dataset = open_dataset(tmp_path / "a.zarr")
    np.testing.assert_array_equal(dataset.read(), data)
    here = os.getpid()

    def child():
        assert os.getpid() != here
        return dataset._quick.read((slice(0, 2),)) is None and np.array_equal(dataset.read(), data)

    assert run_forked(child)
