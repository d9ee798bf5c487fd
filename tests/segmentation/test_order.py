"""Edges by their strength."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voxflow.segmentation.order import GROUPS, group_of, strongest_first


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, st.integers(0, 200), elements=st.floats(-1024, 1024, width=32)))
def test_edges_are_sorted_by_magnitude_and_ties_stay(weights):
    found = strongest_first(weights, np.arange(weights.size, dtype=np.int32))
    edges = np.where(found < 0, ~found, found)
    assert edges.tolist() == np.argsort(-np.abs(weights), kind="stable").tolist()
    assert (found < 0).tolist() == np.signbit(weights[edges]).tolist()


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, st.integers(0, 200), elements=st.floats(-1024, 1024, width=32)))
def test_groups_sorted_one_by_one_are_sorted(weights):
    groups = np.array([group_of(bits) for bits in weights.view(np.int32)], int)
    assert ((groups >= 0) & (groups < GROUPS)).all()
    parts = [np.flatnonzero(groups == group).astype(np.int32) for group in np.unique(groups)]
    found = [strongest_first(weights, part, one_group=True) for part in parts]
    wanted = strongest_first(weights, np.arange(weights.size, dtype=np.int32))
    assert np.concatenate([np.empty(0, int), *found]).tolist() == wanted.tolist()
