import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training import Plateau


def observed(schedule, errors, first=1):
    for step, error in enumerate(errors, first):
        schedule.observe(step, {"valid": error})
    return schedule


def test_is_reduced_when_nothing_gets_better():
    schedule = observed(Plateau("valid", 0.5, 3), [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3])
    found = [schedule.value(step, 1.0) for step in range(13)]
    assert found == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


def test_larger_may_be_better():
    schedule = observed(Plateau("valid", 0.5, 2, mode="max"), [1, 2, 3, 3, 3])
    assert schedule.value(4, 1.0) == 1
    assert schedule.value(5, 1.0) == 0.5


def test_a_small_gain_is_none():
    schedule = observed(Plateau("valid", 0.5, 2, min_delta=0.1), [1, 0.95, 0.91])
    assert schedule.value(3, 1.0) == 0.5


def test_what_is_no_number_is_no_improvement():
    schedule = observed(Plateau("valid", 0.5, 2), [1, float("nan"), float("-inf"), 0.5])
    assert schedule.value(2, 1.0) == 1
    assert schedule.value(3, 1.0) == 0.5


def test_only_its_own_metric_counts():
    schedule = Plateau("valid", 0.5, 1)
    schedule.observe(1, {"valid": 1.0})
    for step in range(2, 9):
        schedule.observe(step, {"loss": 1.0})
    assert schedule.value(9, 1.0) == 1


def test_no_lower_than_the_lowest():
    schedule = observed(Plateau("valid", 0.1, 1, lowest=0.05), [1, 1, 1, 1])
    assert schedule.value(2, 1.0) == pytest.approx(0.1)
    assert schedule.value(4, 1.0) == 0.05
    assert schedule.value(4, 0.01) == 0.01  # it was lower before
    assert schedule.value(4, [1.0, 0.01]) == [0.05, 0.01]


def test_goes_on_from_what_was_set():
    schedule = observed(Plateau("valid", 0.5, 1), [1, 1, 1, 1])  # at 2, 3 and 4
    assert schedule.value(4, 8.0, since=2) == 2
    assert schedule.value(4, 8.0, since=4) == 8


@given(st.lists(st.integers(0, 3), max_size=30), st.data())
def test_a_resumed_run_is_the_same(errors, data):
    cut = data.draw(st.integers(0, len(errors)))
    whole = observed(Plateau("valid", 0.5, 2), errors)
    begun = observed(Plateau("valid", 0.5, 2), errors[:cut])
    later = Plateau("valid", 0.5, 2)
    later.load_state_dict(json.loads(json.dumps(begun.state_dict())))
    observed(later, errors[cut:], first=cut + 1)
    for step in range(len(errors) + 1):
        assert later.value(step, 1.0) == whole.value(step, 1.0)


def test_a_state_is_a_copy():
    schedule = observed(Plateau("valid", 0.5, 1), [1, 1])
    state = schedule.state_dict()
    observed(schedule, [1], first=3)
    again = Plateau("valid", 0.5, 1)
    again.load_state_dict(state)
    assert again.value(3, 1.0) == 0.5


@pytest.mark.parametrize("factor", [-0.1, 1, 2, float("nan")])
def test_the_factor_has_to_reduce(factor):
    with pytest.raises(ValueError, match="factor has to be"):
        Plateau("valid", factor)


def test_patience_has_to_be_positive():
    with pytest.raises(ValueError, match="patience has to be at least 1, got 0"):
        Plateau("valid", patience=0)
