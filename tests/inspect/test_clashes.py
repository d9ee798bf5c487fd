"""Warnings where metadata do not fit together."""

import numpy as np
import pytest

from voxflow.inspect import describe
from voxflow.inspect.describe import told
from voxflow.stores import Geometry, create_dataset


@pytest.fixture
def add(tmp_path):
    path = tmp_path / "a.zarr"

    def add(name, data=None, size=(4, 4), offset=(0, 0), units=None, dtype="uint8"):
        data = np.arange(64, dtype=dtype).reshape(8, 8) if data is None else data
        where = None if size is None else Geometry(size, offset, units)
        create_dataset(path, name, data.shape, data.dtype, geometry=where).write((), data)

    add.path = path
    return add


def warnings(add):
    (report,) = describe(add.path)
    return told(report)


def test_what_fits_is_silent(add):
    add("raw")
    add("labels", dtype="uint64", offset=(8, 4))
    add("coarse", size=(8, 8), offset=(-16, 0))
    assert warnings(add) == []


def test_arrays_that_do_not_overlap(add):
    add("raw")
    add("labels", dtype="uint64", offset=(32, 0))
    (text,) = warnings(add)
    assert text.startswith("labels at [32:64, 0:32] (32, 32) does not overlap raw at [0:32, 0:32]")


def test_a_voxel_size_that_was_never_set(add):
    add("raw", size=(1, 1))
    add("other", size=None)
    assert warnings(add) == [
        "other: its voxel size is not stated: taken as 1 of no unit",
        "raw: its voxel size is 1 along each axis: was it never set?",
    ]


def test_a_voxel_size_of_one_with_a_unit_is_meant(add):
    add("raw", size=(1, 1), units=("um", "um"))
    assert warnings(add) == []


def test_labels_as_floats(add):
    add("labels", dtype="float32")
    add("ids", data=np.array([[2.0**24, 1, 2, 3, 4, 5]], np.float32))
    floats = "it seems to hold labels, but as float32"
    assert warnings(add) == [
        f"ids: {floats}; ids above 16777216 are no longer exact: cast them to an integer",
        f"labels: {floats}: cast them to an integer",
    ]


def test_an_offset_between_voxels(add):
    add("raw")
    add("labels", dtype="uint64", offset=(2, 0))
    texts = warnings(add)
    assert texts[0].startswith("labels: its offset (2, 0) is no multiple of its voxel size (4, 4)")
    assert texts[1].startswith("labels and raw have the same voxel size, but their grids")


def test_several_units(add):
    add("raw", units=("nm", "nm"))
    add("labels", units=("um", "um"), dtype="uint64")
    add("more", units=("nanometer", "nanometer"))
    assert warnings(add) == ["the arrays are in several units: labels in um, more in nanometer"]


def test_values_that_say_nothing(add):
    add("raw", data=np.zeros((4, 4), np.uint8))
    add("pred", data=np.full((4, 4), np.nan, np.float32))
    assert warnings(add) == [
        "pred: 16 of its values are NaN or infinite",
        "raw: all of its values are 0",
    ]
