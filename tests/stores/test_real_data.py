"""The real files that the examples use; skipped where they are absent."""

import os
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

from voxflow.stores import create_dataset, list_datasets, open_dataset, read_geometry

DATA = Path(os.environ.get("VOXFLOW_DATA", Path(__file__).parents[3] / "shared" / "data"))

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data in {DATA}")


def test_a_resolution_that_is_not_whole():
    raw = open_dataset(DATA / "vnc_train.hdf", "volumes/raw")
    assert read_geometry(raw).voxel_size == (50, Fraction(23, 5), Fraction(23, 5))
    assert read_geometry(raw).voxel_size * Fraction(10**6) == (50 * 10**6, 46 * 10**5, 46 * 10**5)


@pytest.mark.parametrize("name", ["a.hdf", "a.zarr"])
def test_the_largest_id_survives(tmp_path, name):
    clefts = open_dataset(DATA / "vnc_train.hdf", "volumes/labels/clefts")
    region = (slice(4, 8), slice(0, 200), slice(0, 200))
    data = clefts.read(region)
    assert data.max() == 2**64 - 1
    with h5py.File(DATA / "vnc_train.hdf", "r") as file:
        np.testing.assert_array_equal(data, file["volumes/labels/clefts"][region])
    written = create_dataset(
        tmp_path / name, "clefts", data.shape, data.dtype, geometry=read_geometry(clefts)
    )
    written.write((), data)
    again = open_dataset(tmp_path / name, "clefts")
    np.testing.assert_array_equal(again.read(), data)
    assert read_geometry(again).voxel_size == read_geometry(clefts).voxel_size


def test_all_chunks_of_all_files_are_there():
    for name in ("gala_train.hdf", "gala_test.hdf"):
        assert list_datasets(DATA / name) == [
            "volumes/labels/fragments",
            "volumes/labels/neuron_ids",
            "volumes/raw",
        ]
        for path in list_datasets(DATA / name):
            dataset = open_dataset(DATA / name, path)
            assert dataset.read().shape == (50, 100, 200)
            assert read_geometry(dataset).voxel_size == (10, 10, 10)
