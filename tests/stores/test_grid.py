import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.stores.grid import CHUNK_BYTES, chunk_bounds, chunks_of, default_chunks

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=3)


@given(st.data(), SIZES)
def test_touched_chunks_are_those_that_share_voxels(data, chunks):
    shape = [data.draw(st.integers(0, 20)) for _ in chunks]
    bounds = tuple(tuple(sorted(data.draw(st.integers(0, s)) for _ in "be")) for s in shape)
    grid = [range(-(-extent // size)) for extent, size in zip(shape, chunks, strict=True)]
    expected = [
        index
        for index in itertools.product(*grid)
        if all(
            max(b, lo) < min(e, hi)
            for (b, e), (lo, hi) in zip(bounds, chunk_bounds(index, chunks, shape), strict=True)
        )
    ]
    assert list(chunks_of(bounds, chunks)) == expected


@given(
    st.lists(st.integers(0, 5000), min_size=1, max_size=4),
    st.sampled_from([1, 2, 4, 8]),
    st.data(),
)
def test_default_chunks_fit(shape, itemsize, data):
    block = data.draw(st.none() | st.tuples(*(st.integers(1, 600) for _ in shape)))
    chunks = default_chunks(shape, itemsize, block)
    assert np.prod(chunks, dtype=object) * itemsize <= CHUNK_BYTES
    assert min(chunks) >= 1
    if block is not None:
        assert all(size % chunk == 0 for size, chunk in zip(block, chunks, strict=True))


def test_block_of_other_rank():
    with pytest.raises(ValueError, match="1 axes, the dataset has 2"):
        default_chunks((3, 4), 1, (3,))
