import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from voxflow.stores import (
    StoreError,
    create_dataset,
    delete_dataset,
    list_datasets,
    open_dataset,
)
from voxflow.stores.compression import BLOSC_CODECS, Codec, parse_compression

DATA = np.arange(64, dtype=np.uint16).reshape(8, 8) // 5


def test_names_levels_and_what_blosc_uses():
    assert parse_compression(None) is None
    assert parse_compression(0) == parse_compression("gzip:0") == Codec("gzip", 0)
    assert parse_compression("lzf") == Codec("lzf")
    assert parse_compression("zstd:-3") == Codec("zstd", -3)
    assert parse_compression("blosc:5") == Codec("blosc", 5)
    assert parse_compression("blosc:lz4:9") == Codec("blosc", 9, "lz4")


@given(st.sampled_from(BLOSC_CODECS), st.integers(0, 9))
def test_what_is_written_down_is_read(inner, level):
    assert parse_compression(f"blosc:{inner}:{level}") == Codec("blosc", level, inner)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (10, "a gzip level is from 0 to 9"),
        ("zstd:23", "a zstd level is from -7 to 22, got 23"),
        ("zstd:high", "'zstd:high' is not understood"),
        ("zstd:1:2", "not understood"),
        ("blosc:lz5", "blosc has blosclz, lz4, .* not 'lz5'"),
        ("lzf:3", "'lzf' has no levels"),
    ],
)
def test_mistakes(given, text):
    with pytest.raises(ValueError, match=text):
        parse_compression(given)


@pytest.mark.parametrize("kind", [2, 3])
@pytest.mark.parametrize(
    ("compression", "stated"),
    [
        ("gzip:7", {"level": 7}),
        ("zstd:5", {"level": 5}),
        ("blosc:lz4", {"cname": "lz4"}),
        ("blosc:zstd:2", {"cname": "zstd", "clevel": 2}),
    ],
)
def test_zarr_states_it(tmp_path, kind, compression, stated):
    made = create_dataset(
        tmp_path / "a.zarr", "x", (8, 8), "u2", compression=compression, zarr_format=kind
    )
    made.write((), DATA)
    codec = zarr.open_array(tmp_path / "a.zarr/x", mode="r").compressors[0]
    config = codec.get_config() if kind == 2 else codec.to_dict()["configuration"]
    assert {name: config[name] for name in stated} == stated
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.zarr", "x").read(), DATA)


@pytest.mark.parametrize(
    ("compression", "stated"),
    [
        ("zstd:5", {"type": "zstd", "level": 5}),
        ("blosc:lz4:1", {"type": "blosc", "cname": "lz4", "clevel": 1}),
        ("bzip2:1", {"type": "bzip2", "blockSize": 1}),
        (3, {"type": "gzip", "level": 3}),
    ],
)
def test_n5_states_it(tmp_path, compression, stated):
    from voxflow.stores.n5 import read_attributes

    made = create_dataset(tmp_path / "a.n5", "x", (8, 8), "u2", compression=compression)
    made.write((), DATA)
    found = read_attributes(f"{tmp_path}/a.n5/x/")["compression"]
    assert {name: found[name] for name in stated} == stated
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.n5", "x").read(), DATA)


def test_hdf5_states_it(tmp_path):
    create_dataset(tmp_path / "a.hdf", "x", (8, 8), "u2", compression="gzip:7").write((), DATA)
    from voxflow.stores import close_all

    close_all()
    with h5py.File(tmp_path / "a.hdf") as file:
        assert (file["x"].compression, file["x"].compression_opts) == ("gzip", 7)
    with pytest.raises(StoreError, match="cannot be compressed with 'zstd:3'"):
        create_dataset(tmp_path / "a.hdf", "y", (8, 8), "u2", compression="zstd:3")


@pytest.mark.parametrize("name", ["a.zarr", "a.n5", "a.hdf"])
def test_deleting(tmp_path, name):
    store = tmp_path / name
    assert not delete_dataset(store, "group/x")
    for path in ("group/x", "group/y"):
        create_dataset(store, path, (8, 8), "u2").write((), DATA)
    assert not delete_dataset(store, "group")
    assert delete_dataset(store, "group/x")
    assert list_datasets(store) == ["group/y"]
    np.testing.assert_array_equal(open_dataset(store, "group/y").read(), DATA)


@pytest.mark.parametrize(("kind", "file"), [(2, "x/0/1"), (3, "x/c.0.1")])
def test_what_stands_between_the_numbers_of_a_chunk(tmp_path, kind, file):
    made = create_dataset(
        tmp_path / "a.zarr",
        "x",
        (8, 8),
        "u2",
        chunks=(8, 4),
        zarr_format=kind,
        separator="/" if kind == 2 else ".",
    )
    made.write((), DATA)
    assert (tmp_path / "a.zarr" / file).is_file()
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.zarr", "x").read(), DATA)
