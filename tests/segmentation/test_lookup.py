"""Tables from ids to ids, of 64 bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxflow.segmentation import Lookup, relabel, remove_small
from voxflow.segmentation.hashing import number_ids

IDS = st.sampled_from([0, 1, 7, 2**31, 2**32 + 7, 2**63, 2**64 - 1])


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint64, st.tuples(st.integers(0, 4), st.integers(0, 9)), elements=IDS))
def test_objects_are_numbered_in_the_order_of_their_ids(labels):
    found, lookup = relabel(labels)
    old = np.unique(labels[labels > 0])
    assert lookup.ids.tolist() == old.tolist()
    wanted = np.where(labels == 0, 0, np.searchsorted(old, labels) + 1)
    assert found.dtype == np.uint64
    assert (found == wanted).all()
    back = Lookup(lookup.values, lookup.ids)
    assert (back(found) == labels).all()


def test_many_ids_are_numbered_as_they_come():
    # More than the table has room for at first; some share what is left of a hash.
    rng = np.random.default_rng(0)
    ids = rng.permutation(np.arange(1, 5001, dtype=np.uint64) << np.uint64(40)).repeat(2)
    numbers, found = number_ids(ids)
    assert (numbers == np.arange(1, 5001).repeat(2)).all()
    assert (found == ids[::2]).all()


def test_ids_that_are_not_in_a_table():
    lookup = Lookup(np.uint64([5]), np.uint64([9]))
    labels = np.array([[5, 0, 6]], np.int32)
    assert lookup(labels, missing="keep").tolist() == [[9, 0, 6]]
    assert lookup(labels, missing="zero").tolist() == [[9, 0, 0]]
    with pytest.raises(KeyError, match="the id 6 is not in the table of 1 ids"):
        lookup(labels)
    with pytest.raises(ValueError, match="ids are 0 or more, but there is -1"):
        lookup(np.array([-1, 5]))
    with pytest.raises(ValueError, match="there are"):
        Lookup(np.uint64([1, 2]), np.uint64([1]))


def test_small_objects_are_removed():
    labels = np.array([[7, 7, 7], [2**62, 0, 0]])
    assert remove_small(labels, 2).tolist() == [[7, 7, 7], [0, 0, 0]]
    assert remove_small(labels, 2).dtype == labels.dtype
    assert remove_small(labels, 1).tolist() == labels.tolist()
