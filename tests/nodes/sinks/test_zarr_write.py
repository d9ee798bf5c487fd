import numpy as np
import pytest
import zarr

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")


def write(writer, data=None):
    data = np.ones((4, 4)) if data is None else data
    served(source(RAW, data, (1, 1)) + writer, asking(RAW=((0, 0), (4, 4))))


def test_gunpowders_arguments_by_position(tmp_path):
    write(gp.ZarrWrite({RAW: "raw"}, str(tmp_path), "a.zarr", "gzip", {RAW: np.uint8}))
    raw = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")["raw"]
    assert raw.metadata.zarr_format == 2
    assert type(raw.compressors[0]).__name__ == "GZip"
    np.testing.assert_array_equal(raw[:], np.ones((4, 4), np.uint8))


def test_the_default_is_a_store_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(gp.ZarrWrite({RAW: "raw"}))
    assert [path.name for path in tmp_path.iterdir()] == ["output.zarr"]


def test_any_name_is_a_zarr_store(tmp_path):
    # gunpowder's default was output.hdf.
    write(gp.ZarrWrite({RAW: "raw"}, tmp_path, "output.hdf"))
    assert zarr.open_group(str(tmp_path / "output.hdf"), mode="r")["raw"][:].all()
    with gp.build(gp.ZarrSource(tmp_path / "output.hdf", {RAW: "raw"})) as reader:
        assert reader.request_batch(asking(RAW=((0, 0), (4, 4))))[RAW].data.all()


@pytest.mark.parametrize("kind", ["group", "store", "dict", "path"])
def test_any_store(tmp_path, kind):
    content = {}
    group = zarr.create_group(zarr.storage.MemoryStore(content) if kind != "dict" else {})
    store = {
        "group": group,
        "store": group.store,
        "dict": content,
        "path": tmp_path / "a.zarr",
    }[kind]
    write(gp.ZarrWrite({RAW: "volumes/raw"}, store=store))
    opened = zarr.open_group(
        zarr.storage.MemoryStore(content) if kind != "path" else str(store), mode="r"
    )
    assert opened["volumes/raw"][:].all()


@pytest.mark.parametrize("compression", ["zstd", "blosc", 3])
def test_compressions_of_zarr(tmp_path, compression):
    write(gp.ZarrWrite({RAW: "raw"}, tmp_path, "a.zarr", compression))
    codec = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")["raw"].compressors[0]
    assert type(codec).__name__.lower() == {3: "gzip"}.get(compression, compression)


def test_a_sharded_dataset_that_is_there(tmp_path):
    from voxflow.stores import Geometry, create_dataset, open_dataset

    data = np.arange(64.0).reshape(8, 8)
    create_dataset(
        tmp_path / "a.zarr",
        "raw",
        (8, 8),
        float,
        chunks=(2, 2),
        shards=(4, 8),
        geometry=Geometry((1, 1), (0, 0)),
    )
    pipeline = source(RAW, data, (1, 1)) + gp.ZarrWrite({RAW: "raw"}, tmp_path, "a.zarr")
    pipeline += gp.Scan(asking(RAW=((0, 0), (3, 3))), 2, progress_callback=gp.ScanCallback())
    served(pipeline, gp.BatchRequest())
    np.testing.assert_array_equal(open_dataset(tmp_path / "a.zarr", "raw").read(), data)
