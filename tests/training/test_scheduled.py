import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training import Decay, Linear, Plateau, Scheduled, Updates


class Things:
    """What has values; counts how often they are set."""

    def __init__(self, **values):
        self.values = values
        self.count = 0

    def get(self, path):
        return self.values[path]

    def set(self, path, value):
        self.values[path] = value
        self.count += 1


def schedules():
    return {
        "lr": Decay(0.5, every=4),
        "mom": Linear(0.9, 10, every=1),
        "drop": Updates([(3, 0.1), (8, 0.4)], then=Decay(0.5, every=2)),
        "weight": Plateau("valid", 0.5, 2),
    }


def things():
    return Things(lr=1.0, mom=0.1, drop=0.8, weight=1.0)


def run(hook, values, first, last, by_hand=(), errors=None):
    """Do steps; the values before each, and those at the end."""
    seen = []
    for number in range(first, last + 1):
        seen.append(dict(values.values))
        for at, path, value in by_hand:
            if at == number:  # while the step runs
                values.values[path] = value
        metrics = {} if errors is None else {"valid": errors[number - 1]}
        hook.after_step(values, SimpleNamespace(number=number, metrics=metrics))
    return [*seen, dict(values.values)]


def test_each_step_sees_what_holds_for_it():
    values, hook = things(), Scheduled(schedules())
    hook.begin(values)
    seen = run(hook, values, 1, 12)
    for done, found in enumerate(seen):
        for path, schedule in schedules().items():
            assert found[path] == schedule.value(done, things().get(path)), (done, path)


def test_what_is_set_by_hand_is_where_it_goes_on_from():
    values, hook = things(), Scheduled({"lr": Decay(0.5, every=4)})
    hook.begin(values)
    seen = run(hook, values, 1, 12, by_hand=[(6, "lr", 8.0)])
    assert [found["lr"] for found in seen] == [1] * 4 + [0.5] * 2 + [8] * 2 + [4] * 4 + [2]


def test_what_is_due_right_after_a_change_by_hand_still_comes():
    both = {"lr": Decay(0.5, every=4), "drop": Updates([(8, 0.4)])}
    values, hook = things(), Scheduled(both)
    hook.begin(values)
    seen = run(hook, values, 1, 9, by_hand=[(8, "lr", 8.0), (8, "drop", 0.9)])
    assert [found["lr"] for found in seen[-2:]] == [4, 4]
    assert [found["drop"] for found in seen[-2:]] == [0.4, 0.4]


def test_nothing_is_set_where_nothing_changes():
    values, hook = things(), Scheduled({"lr": Decay(0.5, every=4)})
    hook.begin(values)
    run(hook, values, 1, 9)
    assert values.count == 2


ERRORS = st.lists(st.integers(0, 3).map(float), min_size=14, max_size=14)
BY_HAND = st.lists(
    st.tuples(
        st.integers(1, 14), st.sampled_from(["lr", "mom", "drop", "weight"]), st.floats(0.01, 2)
    ),
    max_size=4,
)


@given(ERRORS, BY_HAND, st.integers(0, 14))
def test_a_resumed_run_is_the_same(errors, by_hand, cut):
    values, hook = things(), Scheduled(schedules())
    hook.begin(values)
    whole = run(hook, values, 1, 14, by_hand, errors)

    values, hook = things(), Scheduled(schedules())
    hook.begin(values)
    run(hook, values, 1, cut, by_hand, errors)
    state = json.loads(json.dumps(hook.state_dict()))
    values, hook = things(), Scheduled(schedules())  # as they are made anew
    hook.load_state_dict(state)
    hook.begin(values, cut)
    assert run(hook, values, cut + 1, 14, by_hand, errors) == whole[cut:]


@given(ERRORS, st.sampled_from(["lr", "mom", "drop", "weight"]), st.integers(0, 13))
def test_what_was_set_after_the_last_step_is_kept_by_a_resumed_run(errors, path, cut):
    values, hook = things(), Scheduled(schedules())
    hook.begin(values)
    run(hook, values, 1, cut, errors=errors)
    values.values[path] = 8.0
    state = json.loads(json.dumps(hook.state_dict()))
    again, other = things(), Scheduled(schedules())
    other.load_state_dict(state)
    other.begin(again, cut)
    whole = run(hook, values, cut + 1, 14, errors=errors)
    assert whole[0][path] == 8.0
    assert run(other, again, cut + 1, 14, errors=errors) == whole


def test_what_was_set_between_two_runs_stays():
    values, hook = things(), Scheduled({"lr": Decay(0.5, every=4)})
    hook.begin(values)
    run(hook, values, 1, 5)
    values.values["lr"] = 8.0
    hook.begin(values, 5)
    assert [found["lr"] for found in run(hook, values, 6, 12)] == [8] * 3 + [4] * 4 + [2]


def test_a_place_that_rounds():
    class Rounding(Things):
        def set(self, path, value):
            super().set(path, float(np.float32(value)))

    values, hook = Rounding(lr=1.0), Scheduled({"lr": Decay(0.9, every=1)})
    hook.begin(values)
    seen = run(hook, values, 1, 20)
    # Not 0.9 of what was rounded, again and again.
    assert seen[-1]["lr"] == float(np.float32(0.9**20))


@pytest.mark.parametrize("when", ["check", "begin"])
def test_an_unknown_name_is_said_at_the_begin(when):
    with pytest.raises(LookupError, match="los.weights"):
        getattr(Scheduled({"los.weights": Decay(0.5)}), when)(things())


def test_a_schedule_that_is_new_begins_from_what_is_there():
    old = Scheduled({"lr": Decay(0.5, every=4)})
    values = things()
    old.begin(values)
    hook = Scheduled({"mom": Linear(0.9, 10, every=1)})
    hook.load_state_dict(old.state_dict())
    hook.begin(values, 5)
    assert values.get("mom") == pytest.approx(0.5)
    assert list(hook.state_dict()["begun"]) == ["mom"]


def test_what_a_step_has_measured_counts_for_the_next():
    values, hook = Things(weight=1.0), Scheduled({"weight": Plateau("valid", 0.5, 1)})
    hook.begin(values)
    seen = run(hook, values, 1, 3, errors=[1.0, 1.0, 0.5])
    assert [found["weight"] for found in seen] == [1, 1, 0.5, 0.5]
