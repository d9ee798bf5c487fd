import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.listed import is_listed, replace_listed, whole_ids

HUGE = [0, 1, 7, 2**31, 2**31 + 1, 2**32, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(HUGE), max_size=40), st.sets(st.sampled_from(HUGE)))
def test_any_two_ids_are_told_apart(numbers, ids):
    labels = np.array(numbers, np.uint64).reshape(-1, 1)
    wanted = [[n in ids] for n in numbers]
    np.testing.assert_array_equal(is_listed(labels, ids), np.array(wanted, np.uint8).reshape(-1, 1))
    replaced = replace_listed(labels, ids, 5)
    assert replaced.dtype == np.uint64
    assert replaced.ravel().tolist() == [5 if n in ids else n for n in numbers]


def test_ids_beyond_the_dtype_are_nowhere():
    labels = np.array([-1, 0, 127], np.int8)
    assert is_listed(labels, [255, 2**64 - 1, -1, 383], 0, 9).tolist() == [0, 9, 9]


def test_other_dtypes():
    assert replace_listed(np.array([True, False]), [1], 0).tolist() == [False, False]
    swapped = np.array([1, 2, 3], ">i4")
    assert replace_listed(swapped, [2], -9).tolist() == [1, -9, 3]


def test_the_array_may_be_a_view_of_what_nobody_may_write():
    labels = np.arange(12).reshape(3, 4)
    labels.flags.writeable = False
    assert replace_listed(labels[:, ::2], [4], 0).tolist() == [[0, 2], [0, 6], [8, 10]]


def test_what_cannot_be():
    with pytest.raises(TypeError, match=r"ids are whole numbers; got \[1\.5\]"):
        whole_ids([1.5])
    with pytest.raises(ValueError, match="256 does not fit into uint8"):
        replace_listed(np.zeros(3, np.uint8), [1], 256)
    with pytest.raises(TypeError, match="integer dtype"):
        is_listed(np.zeros(3), [1])
