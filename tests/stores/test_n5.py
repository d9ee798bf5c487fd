import json

import numpy as np
import pytest

from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import (
    DatasetNotFound,
    Geometry,
    StoreError,
    StoreNotFound,
    StoreUnusable,
    create_dataset,
    list_datasets,
    open_dataset,
    read_geometry,
)
from voxflow.testing.stores import StoreTests, ramp

WHERE = Geometry((50, 4.6, 9.8), (-25, 2.3, 0.1), ("nm",) * 3)


class TestN5(StoreTests):
    forks = False
    lacks = ("bool",)
    path = "volumes/raw"

    def make(self, folder, shape, dtype, chunks):
        return create_dataset(folder / "a.n5", self.path, shape, dtype, chunks=chunks)

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        store, path = dataset.uri.split(":")
        return open_dataset(store, path, mode, missing_chunks=missing_chunks)


class TestN5AtTheRoot(TestN5):
    path = ""


@pytest.mark.parametrize("compression", [None, 3, "gzip", "zstd", "blosc", "bzip2", "xz"])
def test_codecs(tmp_path, compression):
    data = ramp((5, 6), "u2")
    create_dataset(tmp_path / "a.n5", "raw", (5, 6), "u2", compression=compression).write((), data)
    stored = json.loads((tmp_path / "a.n5/raw/attributes.json").read_text())
    assert stored["dimensions"] == [6, 5]
    wanted = {None: "raw", 3: "gzip"}.get(compression, compression)
    assert stored["compression"]["type"] == wanted
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.n5", "raw").read(()), data)


def test_lists_are_reversed_in_the_file(tmp_path):
    create_dataset(tmp_path / "a.n5", "raw", (2, 4, 5, 6), "u1", geometry=WHERE)
    stored = json.loads((tmp_path / "a.n5/raw/attributes.json").read_text())
    assert stored["resolution"] == [9.8, 4.6, 50, 1]
    assert stored["offset"] == [0.1, 2.3, -25, 0]
    assert stored["axes"] == ["x", "y", "z", "c"]
    found = read_geometry(open_dataset(tmp_path / "a.n5", "raw"))
    assert (found.voxel_size, found.offset, found.units) == (
        WHERE.voxel_size,
        WHERE.offset,
        WHERE.units,
    )
    assert found.spatial == (1, 2, 3)


def test_pixel_resolution_of_others(tmp_path):
    create_dataset(tmp_path / "a.n5", "raw", (4, 5, 6), "u1")
    file = tmp_path / "a.n5/raw/attributes.json"
    pixels = {"pixelResolution": {"dimensions": [4.6, 4, 50], "unit": "um"}}
    file.write_text(json.dumps(json.loads(file.read_text()) | pixels))
    found = read_geometry(open_dataset(tmp_path / "a.n5", "raw"))
    assert found.voxel_size == Coordinate(50, 4, 4.6)
    assert found.units == ("um",) * 3


def test_what_is_there(tmp_path):
    for path in ("volumes/raw", "volumes/labels"):
        create_dataset(tmp_path / "a.n5", path, (4,), "u1")
    assert list_datasets(tmp_path / "a.n5") == ["volumes/labels", "volumes/raw"]
    with pytest.raises(DatasetNotFound, match="volumes/row.*which has: volumes/raw"):
        open_dataset(tmp_path / "a.n5", "volumes/row")
    with pytest.raises(DatasetNotFound, match="is a group"):
        open_dataset(tmp_path / "a.n5", "volumes")
    with pytest.raises(StoreNotFound, match="b.n5"):
        open_dataset(tmp_path / "b.n5", "raw")


def test_what_it_cannot_hold(tmp_path):
    with pytest.raises(StoreError, match="float16"):
        create_dataset(tmp_path / "a.n5", "raw", (4,), "f2")
    with pytest.raises(StoreError, match="xz.*gzip level"):
        create_dataset(tmp_path / "a.n5", "raw", (4,), "u1", compression="lzf")
    assert not (tmp_path / "a.n5/raw").exists()


def test_a_truncated_chunk(tmp_path):
    raw = create_dataset(tmp_path / "a.n5", "raw", (8, 8), "u8", compression=1, chunks=(4, 4))
    raw.write((), ramp((8, 8)))
    chunk = tmp_path / "a.n5/raw/0/1"
    chunk.write_bytes(chunk.read_bytes()[:-12])
    again = open_dataset(tmp_path / "a.n5", "raw")
    assert again.read((slice(0, 4), slice(0, 4))).shape == (4, 4)
    with pytest.raises(StoreUnusable, match="a.n5:raw cannot be read: it may be damaged.*0/1"):
        again.read(())


def test_overwriting(tmp_path):
    create_dataset(tmp_path / "a.n5", "raw", (4,), "u1").write((), np.ones(4, np.uint8))
    new = create_dataset(tmp_path / "a.n5", "raw", (5,), "u2", exist="overwrite")
    new.write((), np.arange(5, dtype=np.uint16))
    assert open_dataset(tmp_path / "a.n5", "raw").read(()).tolist() == [0, 1, 2, 3, 4]
