"""Ranges and ids, of all voxels or of a sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.inspect.arrays import open_array
from voxflow.inspect.find import Container
from voxflow.inspect.values import count_ids, summarise
from voxflow.stores import create_dataset

TOP = 2**64 - 1


def stored(tmp_path, data, name="raw", **options):
    create_dataset(tmp_path / "a.zarr", name, data.shape, data.dtype, **options).write((), data)
    return open_array(Container(str(tmp_path / "a.zarr")), name)


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from([0, 1, 2, 2**63, TOP]), max_size=40),
    st.integers(1, 3),
)
def test_ids_are_counted_as_numpy_counts_them(values, rows):
    data = np.array(values * rows, np.uint64).reshape(rows, -1)
    ids, voxels = count_ids(data) if data.size else (np.unique(data), np.empty(0, int))
    expected = np.unique(data, return_counts=True)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_array_equal(voxels, expected[1])


def test_labels_up_to_the_largest_id(tmp_path):
    data = np.zeros((4, 5), np.uint64)
    data[0], data[1, :3], data[2, :2] = TOP - 1, 2**63, TOP
    values = summarise(stored(tmp_path, data, "labels"))
    assert (values.low, values.high) == (0, TOP)
    assert values.share == 1
    assert values.labels.count == 2
    assert values.labels.background == 12 / 20  # 0, and CREMI's
    assert values.labels.largest == ((TOP - 1, 5), (2**63, 3))


def test_what_is_not_finite_is_counted(tmp_path):
    data = np.array([[0.5, np.nan, np.inf], [-2, 3, -np.inf]], np.float32)
    values = summarise(stored(tmp_path, data))
    assert (values.low, values.high, values.not_finite) == (-2, 3, 3)


def test_labels_as_floats_are_labels_only_where_they_are_whole(tmp_path):
    whole = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert summarise(stored(tmp_path, whole, "labels")).labels.count == 5
    assert summarise(stored(tmp_path, whole + 0.5, "labels2")).labels is None


def test_of_a_large_array_a_sample_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("voxflow.inspect.values._BLOCK_BYTES", 1 << 10)
    data = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    values = summarise(stored(tmp_path, data), max_bytes=2 << 10)
    assert values.share == 0.25
    assert 0 < values.low < values.high < data.max()
    assert summarise(stored(tmp_path, data, "b")).share == 1


def test_what_is_there_is_read_where_chunks_are_missing(tmp_path):
    dataset = create_dataset(tmp_path / "a.zarr", "raw", (8, 8), "uint8", chunks=(4, 4))
    dataset.write((slice(0, 4), slice(0, 8)), np.full((4, 8), 7, np.uint8))
    values = summarise(open_array(Container(str(tmp_path / "a.zarr")), "raw"))
    assert (values.low, values.high) == (7, 7)
    assert values.missing
    assert values.share == 0.5


@pytest.mark.parametrize("shape", [(0, 4), (3, 0, 2)])
def test_of_nothing_there_is_no_range(tmp_path, shape):
    values = summarise(stored(tmp_path, np.zeros(shape, np.uint8)))
    assert values.low is None
    assert values.labels is None
