import numpy as np
import pytest

from voxflow.stores import ArrayDataset, create_dataset, open_dataset, set_cache_size
from voxflow.stores.cache import Arena, CachedDataset, PreloadedDataset, default_arena, with_cache
from voxflow.stores.cache.choose import parse_cache


@pytest.fixture
def chunked(tmp_path):
    dataset = create_dataset(tmp_path / "a.hdf", "raw", (4, 4), "u1", chunks=(2, 2))
    dataset.write((), np.arange(16, dtype="u1").reshape(4, 4))
    del dataset
    return open_dataset(tmp_path / "a.hdf", "raw")


def test_what_follows_from_what_is_said(chunked):
    assert type(with_cache(chunked, None)) is CachedDataset
    assert type(with_cache(chunked, 1000)) is CachedDataset
    assert type(with_cache(chunked, Arena(1000))) is CachedDataset
    assert type(with_cache(chunked, "ram")) is PreloadedDataset
    assert with_cache(chunked, 0) is chunked
    before = default_arena().budget
    try:
        set_cache_size(0)
        assert with_cache(chunked, None) is chunked
    finally:
        set_cache_size(before)


def test_what_lies_in_memory_stays_there(tmp_path):
    array = ArrayDataset(np.zeros((3, 3)))
    whole = create_dataset(tmp_path / "b.hdf", "raw", (0,), "u1", chunks=None)
    for cache in (None, "ram", 100):
        assert with_cache(array, cache) is array
    assert with_cache(whole, None) is whole


@pytest.mark.parametrize("cache", ["RAM", -1, 1.5, True, []])
def test_what_means_nothing(cache):
    with pytest.raises(ValueError, match="cache is None, 'ram', or the bytes"):
        parse_cache(cache)
