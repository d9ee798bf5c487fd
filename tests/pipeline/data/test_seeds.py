"""The arithmetic of seeds."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.data.seeds import (
    advance_legacy,
    derive_seed,
    fresh_seed,
    generator,
    whole_seed,
)


def test_derived_seeds_are_pinned():
    """They name batches in tokens and files: the same on every machine, in every version."""
    assert derive_seed(1, "batch", 0) == derive_seed(1, "batch", 0)
    assert [derive_seed(0, "batch", i) for i in range(2)] == [
        5187636449051413051,
        7136716318475341984,
    ]
    assert generator(1, "Node").integers(0, 2**32, 3).tolist() == [
        3819297762,
        2792971354,
        4129002949,
    ]


@given(st.integers(0, 2**63 - 1), st.lists(st.integers() | st.text(), max_size=3))
def test_derived_seeds_are_in_range(seed, parts):
    assert 0 <= derive_seed(seed, *parts) < 2**63


def test_parts_are_told_apart():
    seeds = [derive_seed(1, *p) for p in [(), (1,), ("1",), (1, 1), ("11",), (11,), ("1", "1")]]
    assert len(set(seeds)) == len(seeds)


def test_streams_of_labels_are_not_alike():
    draws = {generator(7, f"label-{i}").random() for i in range(1000)}
    assert len(draws) == 1000
    means = [generator(i, "A").random() for i in range(2000)]
    assert np.mean(means) == pytest.approx(0.5, abs=0.03)


def test_legacy_seeds_advance_as_in_gunpowder():
    assert advance_legacy(5) == 36
    assert advance_legacy(36) == 1369
    for seed in (0, 2**32 - 1, 2**32 - 2):
        assert 0 <= advance_legacy(seed) < 2**32


def test_fresh_seeds_leave_global_state_alone():
    before = random.getstate(), np.random.get_state()[1].tolist()
    assert fresh_seed() != fresh_seed()
    assert 0 <= fresh_seed() < 2**63
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_whole_seeds():
    assert whole_seed("seed", np.int32(5)) == 5
    assert type(whole_seed("seed", np.int32(5))) is int
    for wrong in (1.0, 1.5, "1", None):
        with pytest.raises(TypeError, match="seed has to be a whole number, got"):
            whole_seed("seed", wrong)
