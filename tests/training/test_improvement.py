import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training.improvement import Improvement

VALUES = st.lists(st.floats(-1e3, 1e3) | st.sampled_from([math.nan, math.inf, -math.inf]))


@given(VALUES, st.sampled_from(["min", "max"]))
def test_it_is_the_running_best(values, mode):
    improvement, best = Improvement(mode), None
    for value in values:
        better = math.isfinite(value) and (
            best is None or (value < best if mode == "min" else value > best)
        )
        assert improvement.update(value) == better
        best = value if better else best
        assert improvement.best == best


@given(VALUES)
def test_modes_mirror_each_other(values):
    least, most = Improvement("min", 0.5), Improvement("max", 0.5)
    for value in values:
        assert least.update(value) == most.update(-value)
        assert least.without == most.without


def test_small_steps_do_not_count_but_add_up():
    improvement = Improvement("max", min_delta=0.25)
    values = (1.0, 1.25, 1.5, 1.75)
    assert [improvement.update(v) for v in values] == [True, False, True, False]
    assert improvement.best == 1.5
    assert improvement.without == 1


def test_a_resumed_run_goes_on():
    first, second = Improvement(), Improvement()
    first.update(1.0)
    first.update(2.0)
    second.load_state_dict(first.state_dict())
    assert not second.update(1.0)
    assert second.without == 2


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="'min' or 'max', got 'least'"):
        Improvement("least")
    with pytest.raises(ValueError, match="min_delta has to be 0 or more, got -1"):
        Improvement(min_delta=-1)
