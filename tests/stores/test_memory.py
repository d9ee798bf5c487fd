import numpy as np
import pytest

from voxflow.stores import ArrayDataset, open_dataset
from voxflow.testing.stores import StoreTests


class TestArrays(StoreTests):
    reads_missing = False
    has_attrs = False

    def make(self, folder, shape, dtype, chunks):
        return ArrayDataset(np.zeros(shape, dtype))

    def reopen(self, dataset, mode="r", missing_chunks="error"):
        return ArrayDataset(dataset._array, mode)


class Lazy:
    """An array-like that is no array, as dask's or tensorstore's."""

    def __init__(self, data):
        self.data = data
        self.shape, self.dtype, self.chunks = data.shape, data.dtype, ((2, 2), (3,))
        self.attrs = {"resolution": [4, 4]}

    def __getitem__(self, region):
        return Block(self.data[region])


class Block:
    def __init__(self, data):
        self.data = data

    def __array__(self, dtype=None, copy=None):
        return self.data.astype(dtype or self.data.dtype)


def test_reads_any_array_like():
    data = np.arange(12).reshape(4, 3)
    dataset = open_dataset(Lazy(data), "lazy")
    np.testing.assert_array_equal(dataset.read((slice(1, 3),)), data[1:3])
    assert dataset.chunks is None
    assert dataset.uri == "lazy"
    assert dataset.attrs["resolution"] == [4, 4]


def test_refuses_what_is_no_array():
    with pytest.raises(TypeError, match="shape, dtype"):
        open_dataset([1, 2, 3])
    with pytest.raises(TypeError, match="list has not"):
        ArrayDataset([1, 2, 3])
    with pytest.raises(ValueError, match=r"mode is one of 'r', 'r\+', got 'a'"):
        open_dataset(np.zeros(3), mode="a")


def test_memory_maps(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(5))
    dataset = open_dataset(np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert type(dataset.read()) is np.ndarray
