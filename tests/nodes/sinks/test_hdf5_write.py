import h5py
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")


def test_gunpowders_arguments_by_position(tmp_path):
    writer = gp.Hdf5Write({RAW: "raw"}, str(tmp_path), "a.hdf", "gzip", {RAW: np.uint8})
    served(source(RAW, np.full((4, 4), 3.7), (1, 1)) + writer, asking(RAW=((0, 0), (4, 4))))
    with h5py.File(tmp_path / "a.hdf") as file:
        assert file["raw"].compression == "gzip"
        np.testing.assert_array_equal(file["raw"][:], np.full((4, 4), 3, np.uint8))


def test_the_default_is_a_file_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    served(
        source(RAW, np.ones((4, 4)), (1, 1)) + gp.Hdf5Write({RAW: "raw"}),
        asking(RAW=((0, 0), (4, 4))),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["output.hdf"]


@pytest.mark.parametrize("compression", ["lzf", 0, 9])
def test_compressions_of_hdf5(tmp_path, compression):
    writer = gp.Hdf5Write({RAW: "raw"}, tmp_path, "a.hdf", compression)
    served(source(RAW, np.ones((4, 4)), (1, 1)) + writer, asking(RAW=((0, 0), (4, 4))))
    with h5py.File(tmp_path / "a.hdf") as file:
        assert file["raw"].compression == ("lzf" if compression == "lzf" else "gzip")


def test_any_name_is_an_hdf5_file(tmp_path):
    writer = gp.Hdf5Write({RAW: "raw"}, tmp_path, "a.zarr")
    served(source(RAW, np.ones((4, 4)), (1, 1)) + writer, asking(RAW=((0, 0), (4, 4))))
    assert h5py.is_hdf5(tmp_path / "a.zarr")


def test_a_dataset_in_a_file_that_holds_others(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["volumes/raw"] = np.arange(3)
    writer = gp.Hdf5Write({RAW: "volumes/labels"}, tmp_path, "a.hdf")
    served(source(RAW, np.ones((4, 4)), (1, 1)) + writer, asking(RAW=((0, 0), (4, 4))))
    with h5py.File(tmp_path / "a.hdf") as file:
        assert sorted(file["volumes"]) == ["labels", "raw"]


def test_into_the_file_that_is_read(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["raw"] = np.arange(16, dtype=np.uint8).reshape(4, 4)
        file["raw"].attrs["resolution"] = (1, 1)
    pipeline = gp.Hdf5Source(tmp_path / "a.hdf", {RAW: "raw"}) + gp.Hdf5Write(
        {RAW: "copy"}, tmp_path, "a.hdf"
    )
    pipeline += gp.Scan(asking(RAW=((0, 0), (2, 2))), progress_callback=gp.ScanCallback())
    served(pipeline, gp.BatchRequest())
    with h5py.File(tmp_path / "a.hdf") as file:
        np.testing.assert_array_equal(file["copy"][:], file["raw"][:])
