"""How the voxels of a dataset are stored."""

import h5py
import numpy as np
import pytest

from voxflow.stores import create_dataset, open_dataset
from voxflow.stores.storage import describe_storage


@pytest.mark.parametrize(
    ("suffix", "options", "compression"),
    [
        ("hdf", {"compression": "gzip:7"}, "gzip:7"),
        ("hdf", {"compression": "lzf"}, "lzf"),
        ("hdf", {}, ""),
        ("zarr", {"compression": "zstd:3"}, "zstd:3"),
        ("zarr", {"compression": "blosc:lz4:5"}, "blosc:lz4:5"),
        ("zarr", {"compression": "gzip:6", "zarr_format": 2}, "gzip:6"),
        ("zarr", {"compression": "blosc:zstd:2", "zarr_format": 2}, "blosc:zstd:2"),
        ("zarr", {"compression": None}, ""),
        ("n5", {"compression": "gzip:4"}, "gzip:4"),
        ("n5", {"compression": "blosc:lz4:3"}, "blosc:lz4:3"),
        ("n5", {"compression": None}, ""),
    ],
)
def test_compression(tmp_path, suffix, options, compression):
    path = tmp_path / f"a.{suffix}"
    create_dataset(path, "raw", (8, 8), "uint16", chunks=(4, 4), **options)
    assert describe_storage(open_dataset(path, "raw")).compression == compression


@pytest.mark.parametrize("suffix", ["hdf", "zarr"])
@pytest.mark.parametrize("written", [0, 1, 3])
def test_missing_chunks_are_counted(tmp_path, suffix, written):
    path = tmp_path / f"a.{suffix}"
    dataset = create_dataset(path, "raw", (9, 4), "uint8", chunks=(4, 4))
    for number in range(written):
        part = slice(4 * number, min(9, 4 * number + 4))
        dataset.write((part,), np.ones((part.stop - part.start, 4), np.uint8))
    told = describe_storage(open_dataset(path, "raw"))
    assert (told.total, told.missing) == (3, 3 - written)


def test_shards_are_what_is_counted(tmp_path):
    path = tmp_path / "a.zarr"
    dataset = create_dataset(path, "raw", (8, 8), "uint8", chunks=(2, 2), shards=(4, 4))
    dataset.write((slice(0, 4), slice(0, 4)), np.ones((4, 4), np.uint8))
    told = describe_storage(open_dataset(path, "raw"))
    assert (told.total, told.missing) == (4, 3)


def test_what_has_no_chunks_misses_none(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["raw"] = np.ones((4, 4))
    told = describe_storage(open_dataset(tmp_path / "a.hdf", "raw"))
    assert (told.total, told.missing) == (None, None)
