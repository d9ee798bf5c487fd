"""Blocks that are handed out together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voxflow.nodes.scanning.groups import Groups, make_groups


@given(st.integers(1, 200), st.integers(1, 40), st.data())
def test_groups_hold_every_block_once(total, size, data):
    begin = data.draw(st.integers(0, total - 1))
    groups = Groups(begin, total, size)
    held = [number for group in range(len(groups)) for number in groups.numbers(group)]
    assert held == list(range(begin, total))
    done = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)), np.uint8)
    settled = groups.settled(done)
    assert len(settled) == len(groups)
    for group, all_done in enumerate(settled):
        assert all_done == done[list(groups.numbers(group))].all()


@given(st.integers(1, 10**7), st.integers(1, 1000), st.data())
def test_every_worker_has_several_groups_if_there_are_enough_blocks(total, workers, data):
    pending = data.draw(st.integers(1, total))
    groups = make_groups(total, pending, workers, one_by_one=False)
    assert groups.size == 1 or pending // groups.size >= 8 * workers
    assert make_groups(total, pending, workers, one_by_one=True).size == 1
