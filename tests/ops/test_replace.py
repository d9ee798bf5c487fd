import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.replace import replace

values = st.integers(0, 2**64 - 1)


@given(
    st.lists(st.sampled_from([0, 1, 5, 2**53 + 1, 2**63, 2**64 - 1]), max_size=12),
    st.dictionaries(st.sampled_from([1, 5, 7, 2**53, 2**53 + 1, 2**64 - 1]), values, max_size=4),
)
def test_replace(array, table):
    given_array = np.array(array, np.uint64).reshape(-1, 1)
    found = replace(given_array, list(table), list(table.values()))
    assert found.dtype == np.uint64
    assert found[:, 0].tolist() == [table.get(value, value) for value in array]
    assert given_array[:, 0].tolist() == array


def test_all_at_once_the_last_one_counts():
    assert replace(np.array([1, 2, 3]), [1, 2], [2, 1]).tolist() == [2, 1, 3]
    assert replace(np.array([1, 2]), [1, 1], [5, 6]).tolist() == [6, 2]
    assert replace(np.array([1, 2, 3]), [1, 2], [0]).tolist() == [0, 0, 3]
    assert replace(np.array([[1.5, 2]]), [1.5], [5]).tolist() == [[5, 2]]


@pytest.mark.parametrize(
    ("dtype", "new", "expected"),
    [("u1", 255, "u1"), ("u1", 256, "u2"), ("u1", -1, "i2"), ("i8", 3, "i8"), ("u1", 0.5, "f2")],
)
def test_dtypes_that_hold_all(dtype, new, expected):
    found = replace(np.array([1, 2], dtype), [2], [new])
    assert found.dtype == expected
    assert found.tolist() == [1, new]


def test_a_value_that_the_array_cannot_have_is_not_found():
    assert replace(np.array([255], np.uint8), [-1], [3]).tolist() == [255]


def test_mistakes():
    with pytest.raises(ValueError, match="2 values cannot be replaced by 3"):
        replace(np.array([1]), [1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="no dtype holds"):
        replace(np.array([-1]), [3], [2**64 - 1])
