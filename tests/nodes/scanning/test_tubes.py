"""An order of blocks that is a permutation, and stays near."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.nodes.scanning.tubes import Tubes


def in_tubes(counts, side):
    """The same, block by block."""
    first, *others = counts
    steps = [int(np.prod(counts[: axis + 1])) for axis in range(len(others))]
    for tube in itertools.product(*(range(0, count, side) for count in reversed(others))):
        spans = [
            range(low, min(low + side, n)) for low, n in zip(tube, reversed(others), strict=True)
        ]
        for slab in range(first):
            for places in itertools.product(*spans):
                yield slab + sum(p * s for p, s in zip(places, reversed(steps), strict=True))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 7), st.data())
def test_tubes_hold_every_block_once(counts, side, data):
    tubes = Tubes(tuple(counts), side)
    numbers = list(tubes)
    assert numbers == list(in_tubes(counts, side))
    assert sorted(numbers) == list(range(len(tubes)))
    places = np.array(np.unravel_index(numbers, counts, order="F")).T
    # From one block to the next, no other axis moves farther than a tube is wide.
    if all(count <= side for count in counts[1:]):
        assert (np.diff(places[:, 0]) >= 0).all()
    index = data.draw(st.integers(-len(tubes), len(tubes) - 1))
    assert tubes[index] == numbers[index]
    assert tubes[index:] == numbers[index:]


def test_millions_of_blocks_are_not_listed():
    tubes = Tubes((1000, 1000, 1000))
    # In the last tube, of 4 x 4 blocks, the last slice.
    assert tubes[-1] == 10**9 - 1
    assert tubes[-16] == 999 + 996 * 1000 + 996 * 10**6
    with pytest.raises(IndexError):
        tubes[10**9]
