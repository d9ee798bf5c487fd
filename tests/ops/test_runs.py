import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.runs import pieces_of, runs


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=4))
def test_runs_are_the_pieces_in_order(axes):
    shape, pieces = tuple(n for n, _ in axes), tuple(size for _, size in axes)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    counts = [-(-n // size) for n, size in axes]
    want = [
        array[
            tuple(slice(i * size, (i + 1) * size) for i, (_, size) in zip(index, axes, strict=True))
        ]
        for index in np.ndindex(*counts)
    ]
    got = [
        np.concatenate([array.reshape(-1)[s : s + length] for s in piece])
        for starts, length in runs(shape, pieces)
        for piece in starts
    ]
    if array.size:
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_array_equal(one, other.reshape(-1))


def test_whole_axes():
    assert pieces_of((3, 10, 7), (1, -1, 4), "RAW") == (1, 10, 4)
    assert pieces_of((3, 10, 7), None, "RAW") == (3, 10, 7)


@pytest.mark.parametrize("slab", [(1, 2), (1, 0, 1), (1, -2, 1)])
def test_slabs_that_do_not_fit(slab):
    with pytest.raises(ValueError, match=r"each of the 3 axes of RAW, whose shape is \(3, 4, 5\)"):
        pieces_of((3, 4, 5), slab, "RAW")
