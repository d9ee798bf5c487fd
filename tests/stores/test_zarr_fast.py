"""What tensorstore reads and writes is what zarr does."""

import os
import subprocess
import sys
import time

import numcodecs
import numpy as np
import pytest
import tensorstore
import zarr

from voxflow.stores import DiskFull, MissingChunk, list_datasets, open_dataset
from voxflow.stores.errors import StoreUnreachable
from voxflow.stores.zarr_fast import quick_array
from voxflow.testing.stores import ramp, random_region, run_forked

SHAPE, CHUNKS = (9, 14, 11), (4, 5, 6)
ONE = tuple(slice(0, size) for size in CHUNKS)
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


def tensorstore_reads(path, zarr_format):
    spec = {
        "driver": {2: "zarr", 3: "zarr3"}[zarr_format],
        "kvstore": {"driver": "file", "path": f"{path}/"},
    }
    return tensorstore.open(spec, open=True).result().read().result()


WRITTEN = {**KINDS, "v2 F": {"zarr_format": 2, "order": "F"}, "v2 /": {"zarr_format": 2}}
WRITTEN["v3 shards"] = {"zarr_format": 3, "shards": (8, 10, 6)}
WRITTEN["v2 /"]["chunk_key_encoding"] = {"name": "v2", "separator": "/"}


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("dtype", ["u1", "u8", "f4", ">i2", "bool"])
def test_all_read_what_it_writes(tmp_path, kind, dtype, monkeypatch):
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        str(path), shape=SHAPE, chunks=CHUNKS, dtype=dtype, fill_value=1, **WRITTEN[kind]
    )
    dataset = open_dataset(path, mode="r+", missing_chunks="fill")
    quick, quickly = dataset._quick.begin_write, []
    monkeypatch.setattr(
        dataset._quick, "begin_write", lambda *given: quickly.append(given[0]) or quick(*given)
    )
    rng = np.random.default_rng(2)
    expected = np.ones(SHAPE, dataset.dtype)
    whole = tuple(slice(0, size) for size in dataset.chunks)
    regions = [
        whole,
        (slice(8, 9), slice(10, 14), slice(6, 11)),  # a chunk at the end
        *(random_region(SHAPE, rng) for _ in range(8)),
    ]
    for number, region in enumerate(regions):
        data = rng.integers(0, 200, expected[region].shape).astype(dataset.dtype)
        # Of whatever byte order and layout the data come.
        given = data.astype(data.dtype.newbyteorder()) if number % 2 else data.T.copy().T
        dataset.write(region, given)
        expected[region] = data
        np.testing.assert_array_equal(dataset.read(), expected)
    assert quickly == [whole]
    np.testing.assert_array_equal(zarr.open_array(str(path), mode="r")[:], expected)
    read = tensorstore_reads(path, array.metadata.zarr_format)
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_of_nothing_but_the_fill_value_are_stored(tmp_path, kind):
    zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=SHAPE,
        chunks=CHUNKS,
        dtype="u1",
        fill_value=7,
        **KINDS[kind],
    )
    dataset = open_dataset(tmp_path / "a.zarr", mode="r+")
    dataset.write(ONE, np.full(CHUNKS, 7, np.uint8))
    if "shards" not in kind:
        assert (open_dataset(tmp_path / "a.zarr").read(ONE) == 7).all()  # it is not missing
    dataset.write((), np.full(SHAPE, 7, np.uint8))
    assert (open_dataset(tmp_path / "a.zarr").read() == 7).all()


def test_a_codec_that_only_zarr_knows_is_left_to_it(tmp_path):
    data = make(tmp_path / "a.zarr", "u2", zarr_format=2, compressors=numcodecs.LZMA())
    dataset = open_dataset(tmp_path / "a.zarr", mode="r+")
    for region in (ONE, (slice(2, 5),)):
        data[region] += 1
        dataset.write(region, data[region])
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "a.zarr"))[:], data)


def test_a_fork_writes_without(tmp_path):
    data = make(tmp_path / "a.zarr", **KINDS["v3"])
    dataset = open_dataset(tmp_path / "a.zarr", mode="r+")
    dataset.write((), data)

    def child():
        dataset.write(ONE, data[ONE] + 1)
        return True

    assert run_forked(child)
    data[ONE] += 1
    np.testing.assert_array_equal(dataset.read(), data)


WRITER = """
import sys
import numpy as np
from voxflow.stores import open_dataset
dataset = open_dataset(sys.argv[1], mode="r+")
print("ready", flush=True)
for number in range(1 << 30):
    dataset.write((), np.full(dataset.shape, number % 251, np.uint8))
"""


@pytest.mark.parametrize("kind", ["v2 plain", "v3 shards"])
def test_a_kill_leaves_old_chunks_or_new_ones(tmp_path, kind):
    path = str(tmp_path / "a.zarr")
    options = {**KINDS[kind], "chunks": (64, 64, 64), "dtype": "u1"}
    if "shards" in options:
        options["shards"] = (64, 128, 64)
    zarr.create_array(path, shape=(64, 128, 128), **options)[:] = 1
    size = options.get("shards", options["chunks"])
    rng = np.random.default_rng(3)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        time.sleep(rng.uniform(0.02, 0.1))
        process.kill()
        process.communicate()
        data = zarr.open_array(path, mode="r")[:]
        for y in range(0, 128, size[1]):
            for x in range(0, 128, size[2]):
                assert len(np.unique(data[:, y : y + size[1], x : x + size[2]])) == 1
        np.testing.assert_array_equal(open_dataset(path).read(), data)


def test_what_a_kill_left_is_not_in_the_way(tmp_path):
    data = make(tmp_path / "a.zarr", **KINDS["v2 plain"])
    (tmp_path / "a.zarr" / "0.0.0.__lock").write_bytes(b"half of a chunk" * 1000)
    assert list_datasets(tmp_path / "a.zarr") == [""]
    dataset = open_dataset(tmp_path / "a.zarr", mode="r+")
    np.testing.assert_array_equal(dataset.read(), data)
    dataset.write((), data + 1)
    np.testing.assert_array_equal(dataset.read(), data + 1)
    np.testing.assert_array_equal(zarr.open_array(str(tmp_path / "a.zarr"))[:], data + 1)


@pytest.mark.parametrize("way", ["write", "begin_write"])
@pytest.mark.parametrize(
    ("said", "error"),
    [("RESOURCE_EXHAUSTED: no quota", DiskFull), ("UNAVAILABLE: timed out", StoreUnreachable)],
)
def test_what_goes_wrong_at_the_begin_of_a_write(tmp_path, monkeypatch, way, said, error):
    class Refuses:
        def __getitem__(self, region):
            return self

        def write(self, *_, **__):
            raise ValueError(said)

    make(tmp_path / "a.zarr")
    dataset = open_dataset(tmp_path / "a.zarr", mode="r+")
    monkeypatch.setattr(dataset._quick, "_store", Refuses)
    with pytest.raises(error, match="cannot be written") as info:
        getattr(dataset, way)(ONE, np.zeros(CHUNKS, "u8"))
    if error is StoreUnreachable:
        assert "It was asked for voxels" in info.value.__notes__[0]
