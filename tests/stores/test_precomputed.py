import json

import numpy as np
import pytest

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    MissingChunk,
    OutputMismatch,
    ReadOnly,
    StoreError,
    StoreUnusable,
    create_dataset,
    list_datasets,
    list_levels,
    open_dataset,
    read_geometry,
)
from voxflow.stores.precomputed_shards import chunk_id, open_shards, which_are_stored
from voxflow.testing.stores import StoreTests, ramp, random_region

WHERE = Geometry((50, 4.6, 9.8), (-50, 9.2, 0), ("nm",) * 3)


class TestPrecomputed(StoreTests):
    forks = False
    has_attrs = False
    lacks = ("bool", "i8", "f8")
    dimensions = 3

    def make(self, folder, shape, dtype, chunks):
        return create_dataset(folder / "a.precomputed", "raw", shape, dtype, chunks=chunks)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.split(":")
        return open_dataset(store, path, mode, missing_chunks=missing_chunks)


def test_says_where_it_lies_in_its_own_way(tmp_path):
    store = f"precomputed://{tmp_path}/volume"
    create_dataset(store, "", (7, 8, 9), "u2", geometry=WHERE).write((), ramp((7, 8, 9), "u2"))
    info = json.loads((tmp_path / "volume/info").read_text())
    (scale,) = info["scales"]
    assert scale["size"] == [9, 8, 7]
    assert scale["resolution"] == [9.8, 4.6, 50]
    assert scale["voxel_offset"] == [0, 2, -1]
    raw = open_dataset(tmp_path / "volume")
    found = read_geometry(raw)
    assert (found.voxel_size, found.offset) == (WHERE.voxel_size, WHERE.offset)
    assert found.units == ("nm",) * 3
    np.testing.assert_array_equal(raw.read((slice(1, 3),)), ramp((7, 8, 9), "u2")[1:3])
    assert list_datasets(store) == [""]


def test_micrometers_become_nanometers(tmp_path):
    um = Geometry((0.05, 0.0046, 0.0046), (0.1, 0, 0), ("um",) * 3)
    raw = create_dataset(tmp_path / "a.precomputed", "", (2, 2, 2), "u1", geometry=um)
    found = read_geometry(raw)
    assert found.voxel_size == Coordinate(50, 4.6, 4.6)
    assert found.offset == Coordinate(100, 0, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_lead(tmp_path, channels):
    data = ramp((channels, 4, 5, 6), "f4")
    raw = create_dataset(
        tmp_path / "a.precomputed",
        "",
        data.shape,
        "f4",
        geometry=WHERE,
        chunks=(channels, 2, 2, 2),
    )
    if channels == 1:
        assert raw.shape == (4, 5, 6)  # the format does not tell one channel from none
        data = data[0]
    raw.write((), data)
    again = open_dataset(tmp_path / "a.precomputed")
    np.testing.assert_array_equal(again.read(()), data)
    assert read_geometry(again).voxel_size == WHERE.voxel_size


def test_labels_are_compressed(tmp_path):
    ids = np.array([2**64 - 1, 0, 2**53 + 1], np.uint64).repeat(9).reshape(3, 3, 3)
    create_dataset(
        tmp_path / "a.precomputed", "", ids.shape, ids.dtype, compression="compressed_segmentation"
    ).write((), ids)
    assert json.loads((tmp_path / "a.precomputed/info").read_text())["type"] == "segmentation"
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.precomputed").read(()), ids)


def test_what_it_cannot_hold(tmp_path):
    def make(shape=(2, 2, 2), dtype="u1", **options):
        create_dataset(tmp_path / "a.precomputed", "", shape, dtype, **options)

    with pytest.raises(StoreError, match="not float64"):
        make(dtype="f8")
    with pytest.raises(StoreError, match="three axes"):
        make(shape=(2, 2))
    with pytest.raises(StoreError, match=r"offset \(-25, 0, 0\) is not a whole number of voxels"):
        make(geometry=Geometry((50, 4, 4), (-25, 0, 0)))
    with pytest.raises(StoreError, match="'furlong' is not known"):
        make(geometry=Geometry((1, 1, 1), (0, 0, 0), ("furlong",) * 3))
    with pytest.raises(StoreError, match="no attributes.*note"):
        make(attrs={"note": 1})
    with pytest.raises(StoreError, match="compressed_segmentation"):
        make(compression="gzip")
    with pytest.raises(StoreError, match="sharded precomputed is only read.*no shards"):
        make(shards=(2, 2, 2))
    assert not (tmp_path / "a.precomputed").exists()


def test_a_volume_that_moved(tmp_path):
    create_dataset(tmp_path / "a.precomputed", "", (4, 4, 4), "u1", geometry=WHERE)
    moved = Geometry(WHERE.voxel_size, WHERE.offset + WHERE.voxel_size)
    with pytest.raises(OutputMismatch, match=r"offset: is \(-50, 9.2, 0\)"):
        create_dataset(tmp_path / "a.precomputed", "", (4, 4, 4), "u1", geometry=moved)


def test_scales_are_levels(tmp_path):
    import tensorstore

    for factor in (1, 2):
        spec = {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{tmp_path}/volume/"},
            "multiscale_metadata": {"data_type": "uint8", "num_channels": 1, "type": "image"},
            "scale_metadata": {
                "size": [8 // factor, 8 // factor, 4],
                "resolution": [4 * factor, 4 * factor, 40],
                "voxel_offset": [2 // factor, 0, 1],
                "encoding": "raw",
                "chunk_size": [4, 4, 4],
            },
        }
        array = tensorstore.open(spec, create=True, open=True).result()
        array.write(np.full(array.shape, factor, np.uint8)).result()
    sizes = [level.voxel_size for level in list_levels(tmp_path / "volume")]
    assert sizes == [(40, 4, 4), (40, 8, 8)]
    assert open_dataset(tmp_path / "volume").read(()).max() == 1
    for options in ({"level": 1}, {"voxel_size": (40, 8, 8)}):
        coarse = open_dataset(tmp_path / "volume", **options)
        assert coarse.shape == (4, 4, 4)
        assert coarse.read(()).min() == 2
        assert read_geometry(coarse).offset == Coordinate(40, 0, 8)
    for options in ({"level": 2}, {"level": -1}, {"voxel_size": (40, 16, 16)}):
        with pytest.raises(DatasetNotFound, match=r"its levels are 0: \(40, 4, 4\), 1: \(40, 8"):
            open_dataset(tmp_path / "volume", **options)


@pytest.mark.parametrize("bits", [(0, 0, 9), (3, 1, 3), (9, 0, 0)])
def test_shards_are_read(tmp_path, bits):
    import tensorstore

    data = ramp((24, 32, 33), "u8") + 1
    data[16:, :8, :8] = 0  # of which tensorstore stores no chunk
    names = ("preshift_bits", "minishard_bits", "shard_bits")
    spec = {
        "driver": "neuroglancer_precomputed",
        "kvstore": {"driver": "file", "path": f"{tmp_path}/volume/"},
        "multiscale_metadata": {"data_type": "uint64", "num_channels": 1, "type": "segmentation"},
        "scale_metadata": {
            "size": data.shape[::-1],
            "resolution": [4, 4, 40],
            "voxel_offset": [2, 0, 1],
            "encoding": "raw",
            "chunk_size": [8, 8, 8],
            "sharding": {
                "@type": "neuroglancer_uint64_sharded_v1",
                **dict(zip(names, bits, strict=True)),
                "hash": "identity",
                "minishard_index_encoding": "gzip",
                "data_encoding": "gzip",
            },
        },
    }
    tensorstore.open(spec, create=True).result()[..., 0].T.write(data).result()
    raw = open_dataset(tmp_path / "volume")
    assert raw.read_grid == (8, 8, 8)
    rng = np.random.default_rng(1)
    for _ in range(10):
        region = random_region(data[:16].shape, rng)
        np.testing.assert_array_equal(raw.read(region), data[region])
    with pytest.raises(MissingChunk, match=r"1 of the 3 chunks.*chunk \(2, 0, 0\)"):
        raw.read((slice(0, 24), slice(2, 8), slice(3, 4)))
    shards = open_shards(f"{tmp_path}/volume/4_4_40/", spec["scale_metadata"]["sharding"])
    ids = [chunk_id(index[::-1], (5, 4, 3)) for index in np.ndindex(3, 4, 5)]
    assert which_are_stored(shards, "", ids).index(False) == 2 * 4 * 5
    assert sum(which_are_stored(shards, "", ids)) == len(set(ids)) - 1 == 59
    filled = open_dataset(tmp_path / "volume", missing_chunks="fill")
    np.testing.assert_array_equal(filled.read(()), data)
    assert read_geometry(raw).offset == Coordinate(40, 0, 8)
    with pytest.raises(ReadOnly, match="is sharded, which is only read"):
        open_dataset(tmp_path / "volume", mode="r+")


def test_a_truncated_chunk(tmp_path):
    raw = create_dataset(tmp_path / "a.precomputed", "", (4, 4, 4), "u8", chunks=(4, 4, 4))
    raw.write((), ramp((4, 4, 4)))
    (chunk,) = (tmp_path / "a.precomputed").glob("*_*_*/*")
    chunk.write_bytes(chunk.read_bytes()[:-12])
    with pytest.raises(StoreUnusable, match="it may be damaged"):
        open_dataset(tmp_path / "a.precomputed").read(())
