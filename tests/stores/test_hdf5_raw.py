"""Chunks decoded without HDF5 are what HDF5 makes of them."""

import h5py
import numpy as np
import pytest

from voxflow.stores import MissingChunk, StoreUnusable, open_dataset
from voxflow.stores.hdf5_raw import chunk_decoder, mapped_file
from voxflow.testing.stores import random_region, run_forked

KINDS = {
    "gzip": {"compression": "gzip"},
    "level 0": {"compression": "gzip", "compression_opts": 0},
    "shuffled": {"compression": "gzip", "shuffle": True},
}
OTHERS = {
    "lzf": {"compression": "lzf"},
    "checksum": {"compression": "gzip", "fletcher32": True},
    "offset": {"compression": "gzip", "scaleoffset": 0},
    "plain": {},
}
SHAPE = (9, 14, 11)


def write(path, dtype="u8", **options):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 2, SHAPE).astype(dtype) if dtype == "bool" else None
    if data is None:
        data = rng.integers(0, 200, SHAPE).astype(dtype)
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", data=data, chunks=(4, 5, 6), **options)
    return data


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u8", "f4", ">i4", "bool", "f8"])
def test_reads_what_hdf5_reads(tmp_path, kind, dtype):
    if kind == "offset" and dtype in ("f4", "f8", "bool"):
        pytest.skip("HDF5 offsets integers only")
    data = write(tmp_path / "a.hdf", dtype, **{**KINDS, **OTHERS}[kind])
    with h5py.File(tmp_path / "a.hdf") as file:
        assert (chunk_decoder(file["raw"]) is not None) is (kind in KINDS)
    dataset = open_dataset(tmp_path / "a.hdf", "raw")
    rng = np.random.default_rng(1)
    for _ in range(10):
        region = random_region(SHAPE, rng)
        got = dataset.read(region)
        np.testing.assert_array_equal(got, data[region])
        assert got.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(dataset.fetch((2, 2, 1)), data[8:, 10:, 6:])


def test_a_chunk_that_was_written_without_the_filter(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        raw = file.create_dataset("raw", (4, 4), "u1", chunks=(2, 2), compression="gzip")
        raw[...] = 3
        raw.id.write_direct_chunk((0, 2), bytes([1, 2, 3, 4]), filter_mask=1)
    dataset = open_dataset(tmp_path / "a.hdf", "raw")
    np.testing.assert_array_equal(dataset.read(), [[3, 3, 1, 2], [3, 3, 3, 4], [3] * 4, [3] * 4])


def test_chunks_that_are_not_there(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        raw = file.create_dataset(
            "raw", (4, 4), "u1", chunks=(2, 2), compression="gzip", fillvalue=9
        )
        raw[:2, :2] = 3
    filled = open_dataset(tmp_path / "a.hdf", "raw", missing_chunks="fill")
    np.testing.assert_array_equal(filled.read()[0], [3, 3, 9, 9])
    np.testing.assert_array_equal(filled.fetch((1, 1)), [[9, 9], [9, 9]])
    with pytest.raises(MissingChunk, match="3 of the 4 chunks"):
        open_dataset(tmp_path / "a.hdf", "raw").read()


def test_what_was_written_since_is_seen(tmp_path):
    write(tmp_path / "a.hdf", **KINDS["gzip"])
    dataset = open_dataset(tmp_path / "a.hdf", "raw", "r+")
    before = dataset.read()
    dataset.write((slice(0, 2),), before[:2] + 1)
    np.testing.assert_array_equal(dataset.read((slice(0, 2),)), before[:2] + 1)


def test_a_damaged_chunk_is_an_error(tmp_path):
    write(tmp_path / "a.hdf", **KINDS["gzip"])
    with h5py.File(tmp_path / "a.hdf", "r+") as file:
        file["raw"].id.write_direct_chunk((0, 0, 0), b"no such thing")
    dataset = open_dataset(tmp_path / "a.hdf", "raw")
    with pytest.raises(StoreUnusable, match=r"chunk \(0, 0, 0\), voxels \[0:4, 0:5, 0:6\], cannot"):
        dataset.read()
    dataset.read((slice(4, 9),))


@pytest.mark.parametrize("dtype", ["u1", "u8", "f4"])
def test_data_in_one_piece_are_mapped(tmp_path, dtype):
    data = np.arange(5 * 6 * 7).reshape(5, 6, 7).astype(dtype)
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["before"] = np.zeros(3)
        file["raw"] = data
    dataset = open_dataset(tmp_path / "a.hdf", "raw")
    region = (slice(1, 4), slice(0, 6), slice(2, 3))
    seen = dataset.look(region)
    np.testing.assert_array_equal(seen, data[region])
    assert not seen.flags.writeable
    np.testing.assert_array_equal(dataset.read(region), data[region])
    assert run_forked(lambda: np.array_equal(dataset.look(region), data[region]))


def test_what_cannot_be_mapped(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["swapped"] = np.zeros(3, ">u2")
        file.create_dataset("never written", (3,), "u1")
        file.create_dataset("empty", (0,), "u1")
        file["chunked"] = file.create_dataset("c", (4,), "u1", chunks=(2,))
        file["other"] = np.zeros(3, "u1")
        layout = h5py.VirtualLayout((3,), "u1")
        layout[:] = h5py.VirtualSource(file["other"])
        file.create_virtual_dataset("virtual", layout)
        for name in ("swapped", "never written", "empty", "chunked", "virtual"):
            assert mapped_file(file[name], file.filename) is None, name
    for name in ("swapped", "virtual", "empty"):
        dataset = open_dataset(tmp_path / "a.hdf", name)
        assert dataset.look() is None
        np.testing.assert_array_equal(dataset.read(), np.zeros(dataset.shape))
