"""Blocks that are handed out together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.nodes.scanning.groups import Groups, make_groups


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 12), st.data())
def test_groups_hold_every_block_once(total, size, stretches, data):
    order = data.draw(st.permutations(range(total)))
    groups = Groups(order, size, stretches)
    held = [number for group in range(len(groups)) for number in groups.numbers(group)]
    assert sorted(held) == list(range(total))
    done = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)), np.uint8)
    settled = groups.settled(done)
    assert len(settled) == len(groups)
    for group, all_done in enumerate(settled):
        assert all_done == done[groups.numbers(group)].all()


@given(st.integers(1, 300), st.integers(1, 7))
def test_who_is_given_each_nth_group_goes_on_beside_where_it_was(total, workers):
    groups = Groups(range(total), 1, workers)
    for worker in range(workers):
        numbers = [n for g in range(worker, len(groups), workers) for n in groups.numbers(g)]
        even = numbers[: total // workers]
        assert even == list(range(even[0], even[0] + len(even))) if even else True


@given(st.lists(st.integers(1, 200), min_size=1, max_size=3), st.integers(1, 1000), st.data())
def test_every_worker_has_several_groups_if_there_are_enough_blocks(counts, workers, data):
    total = int(np.prod(counts))
    pending = data.draw(st.integers(1, total))
    groups = make_groups(tuple(counts), pending, workers, one_by_one=False)
    assert groups.size == 1 or pending // groups.size >= 8 * workers
    assert make_groups(tuple(counts), pending, workers, one_by_one=True).size == 1


def test_a_block_alone():
    groups = Groups([7], 1)
    assert groups.numbers(0) == [7]
    assert groups.settled(np.zeros(9, np.uint8)).tolist() == [0]
    with pytest.raises(IndexError):
        groups.settled(np.zeros(3, np.uint8))
