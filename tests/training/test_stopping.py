import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training.stopping import (
    EarlyStopping,
    MaxActiveHours,
    MaxSteps,
    MaxWallHours,
    NonFiniteMetric,
    first_reason,
)
from voxflow.training.when import Moment


def stopped_at(rule, losses, name="validation.loss"):
    """The number of the value at which a rule ends a training, from 1, and why."""
    for i, loss in enumerate(losses, 1):
        reason = rule.reason(Moment(i), {name: loss})
        if reason is not None:
            return i, reason
    return None


def test_steps():
    rule = MaxSteps(30)
    assert rule.reason(Moment(29), {}) is None
    assert rule.reason(Moment(30), {}) == "30 steps are done, of 30"
    assert MaxSteps(0).reason(Moment(0), {}) is not None
    rule.steps = 40
    assert rule.reason(Moment(30), {}) is None


def test_active_hours_have_no_pauses_and_wall_hours_do():
    early = Moment(1, active_seconds=1799.0, wall_seconds=3599.0)
    late = Moment(2, active_seconds=1800.0, wall_seconds=3600.0)
    active, wall = MaxActiveHours(0.5), MaxWallHours(1)
    assert active.reason(early, {}) is None
    assert wall.reason(early, {}) is None
    assert active.reason(late, {}) == "0.50 active hours are over, of 0.5"
    assert wall.reason(late, {}) == "1.00 wall hours are over, of 1"


def test_patience_ends():
    losses = [1.0, 0.5, *[0.49995] * 20]
    assert stopped_at(EarlyStopping("validation.loss"), losses) == (
        17,
        "validation.loss has not become better than 0.5 in its last 15 values",
    )
    falling = [1 / i for i in range(1, 60)]
    assert stopped_at(EarlyStopping("validation.loss", patience=2), falling) is None
    rising = EarlyStopping("validation.loss", patience=2, mode="max")
    assert stopped_at(rising, falling)[0] == 3


def test_only_its_own_metric_counts():
    rule = EarlyStopping("a", patience=1)
    assert rule.reason(Moment(1), {"a": 1.0}) is None
    for i in range(5):
        assert rule.reason(Moment(i), {"b": 2.0}) is None
    assert rule.reason(Moment(9), {"a": 1.0}) is not None


def test_what_never_was_finite_ends_as_well():
    rule = EarlyStopping("a", patience=3)
    assert stopped_at(rule, [math.nan] * 9, "a") == (
        3,
        "a has not been finite in its last 3 values",
    )


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.integers(0, 30), st.integers(1, 5))
def test_a_resumed_run_stops_as_one_that_was_not_stopped(losses, stop, patience):
    whole = stopped_at(EarlyStopping("a", patience=patience), losses, "a")
    first = EarlyStopping("a", patience=patience)
    before = stopped_at(first, losses[:stop], "a")
    if before is None:
        second = EarlyStopping("a", patience=patience)
        second.load_state_dict(first.state_dict())
        after = stopped_at(second, losses[stop:], "a")
        before = None if after is None else (after[0] + min(stop, len(losses)), after[1])
    assert before == whole


def test_metrics_that_are_not_finite():
    metrics = {"a": 1.0, "b": math.nan, "c": math.inf}
    assert NonFiniteMetric().reason(Moment(7), metrics) == "b is nan at step 7, c is inf at step 7"
    assert NonFiniteMetric("c", "a").reason(Moment(7), metrics) == "c is inf at step 7"
    assert NonFiniteMetric("a").reason(Moment(7), metrics) is None


def test_the_first_reason_counts_and_all_rules_are_asked():
    early = EarlyStopping("a", patience=1)
    rules = [MaxSteps(2), MaxSteps(1), early]
    assert first_reason(rules, Moment(1), {"a": 1.0}) == "1 steps are done, of 1"
    assert first_reason(rules, Moment(2), {"a": 1.0}) == "2 steps are done, of 2"
    assert early.state_dict() == {"best": 1.0, "without": 1}
    assert first_reason([], Moment(1), {}) is None


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="steps has to be 0 or more, got -1"):
        MaxSteps(-1)
    for rule in (MaxActiveHours, MaxWallHours):
        with pytest.raises(ValueError, match="hours have to be above 0, got 0"):
            rule(0)
    with pytest.raises(ValueError, match="patience has to be at least 1, got 0"):
        EarlyStopping("a", patience=0)
    with pytest.raises(ValueError, match="'min' or 'max'"):
        EarlyStopping("a", mode="least")
