from fractions import Fraction

import h5py
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served

RAW, LABELS, CLEFTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("CLEFTS")


def test_gunpowders_arguments_by_position(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["raw"] = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
        file["raw"].attrs["resolution"] = (2, 2)
    source = gp.Hdf5Source(
        str(tmp_path / "a.hdf"), {RAW: "raw"}, {RAW: gp.ArraySpec(interpolatable=False)}, False
    )
    assert source.name() == f"Hdf5Source[{tmp_path / 'a.hdf'}]"
    assert source.filename == str(tmp_path / "a.hdf")
    assert source.datasets == {RAW: "raw"}
    with gp.build(source):
        assert source.spec[RAW].interpolatable is False
        batch = source.request_batch(asking(RAW=((2, 0), (2, 6))))
    np.testing.assert_array_equal(batch[RAW].data, [[[6, 8, 10]], [[7, 9, 11]]])


def test_nothing_is_opened_before_setup(tmp_path):
    gp.Hdf5Source(tmp_path / "no.hdf", {RAW: "raw"})


def test_byte_order_and_bool(tmp_path):
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file["big"] = np.arange(4, dtype=">u8")
        file["mask"] = np.array([True, False, True, True])
        for dataset in file.values():
            dataset.attrs["resolution"] = (1,)
    source = gp.Hdf5Source(tmp_path / "a.hdf", {RAW: "big", LABELS: "mask"})
    batch = served(source, asking(RAW=((1,), (2,)), LABELS=((1,), (2,))))
    assert batch[RAW].data.dtype == np.dtype("=u8")
    assert batch[RAW].data.tolist() == [1, 2]
    assert batch[LABELS].data.dtype == bool
    assert batch[LABELS].data.tolist() == [False, True]


def test_a_real_volume_of_cubes(real_data):
    source = gp.Hdf5Source(
        real_data / "fib25_train.hdf",
        {RAW: "volumes/raw", LABELS: "volumes/labels/neuron_ids"},
    )
    where = ((50, 100, 200), (30, 400, 500))
    with gp.build(source):
        assert source.spec[RAW].voxel_size == (10, 10, 10)
        assert source.spec[RAW].roi.shape == (1800, 2500, 2500)
        assert source.spec[RAW].interpolatable is True
        assert source.spec[LABELS].interpolatable is False
        batch = source.request_batch(asking(RAW=where, LABELS=where))
    with h5py.File(real_data / "fib25_train.hdf", "r") as file:
        for key, name in source.datasets.items():
            np.testing.assert_array_equal(batch[key].data, file[name][5:8, 10:50, 20:70])


def test_a_real_volume_with_voxels_that_are_not_whole(real_data):
    source = gp.Hdf5Source(
        real_data / "vnc_train.hdf", {RAW: "volumes/raw", CLEFTS: "volumes/labels/clefts"}
    )
    where = (gp.Coordinate(50, Fraction(46), 4600), gp.Coordinate(100, 92, 46))
    with gp.build(source):
        assert source.spec[RAW].voxel_size == (50, Fraction(23, 5), Fraction(23, 5))
        assert source.spec[RAW].roi.shape == (750, Fraction(23552, 5), Fraction(23552, 5))
        batch = source.request_batch(asking(RAW=where, CLEFTS=where))
    with h5py.File(real_data / "vnc_train.hdf", "r") as file:
        for key, name in source.datasets.items():
            np.testing.assert_array_equal(batch[key].data, file[name][1:3, 10:30, 1000:1010])
    assert batch[CLEFTS].data.max() == 2**64 - 1


def test_off_the_grid_of_the_real_volume(real_data):
    source = gp.Hdf5Source(real_data / "vnc_train.hdf", {RAW: "volumes/raw"})
    with pytest.raises(gp.PipelineRequestError, match=r"voxel grid of .50, 4\.6"):
        served(source, asking(RAW=((0, 5, 0), (50, 46, 46))))
