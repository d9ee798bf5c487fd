import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training import Decay, Linear, Updates

STEPS = st.integers(0, 20_000)
VALUES = st.floats(1e-6, 10)


def values(schedule, steps, initial, **options):
    return [schedule.value(step, initial, **options) for step in steps]


def test_decay():
    assert values(Decay(0.95), [0, 999, 1000, 1999, 2000, 3000], 1.0) == pytest.approx(
        [1, 1, 0.95, 0.95, 0.9025, 0.857375], rel=1e-12
    )


def test_decay_of_elektronn():
    rate = 0.01
    assert values(Decay(0.993), [999, 1000, 2000], rate) == pytest.approx(
        [rate, 0.993 * rate, 0.993**2 * rate], rel=1e-12
    )


@given(st.floats(0, 1), st.integers(1, 500), st.integers(0, 3000), st.integers(0, 3000), VALUES)
def test_decay_goes_on_from_what_was_set(factor, every, set_at, later, value):
    schedule = Decay(factor, every)
    step = set_at + later
    current = value
    for now in range(set_at + 1, step + 1):
        current *= factor if now % every == 0 else 1
    assert schedule.value(step, value, since=set_at) == pytest.approx(current, rel=1e-9)
    assert schedule.value(set_at, value, since=set_at) == value


def test_linear():
    line = Linear(0, 4000)
    found = values(line, [0, 999, 1000, 2000, 3000, 3999, 4000, 9000], 0.001)
    assert found == pytest.approx(
        [0.001, 0.001, 0.00075, 0.0005, 0.00025, 0.00025, 0, 0], rel=1e-12
    )
    assert found[-2:] == [0, 0]


def test_linear_with_an_end_between_multiples():
    line = Linear(0, 4500)
    assert line.value(4000, 0.001) == pytest.approx(0.001 * 500 / 4500)
    assert line.value(4499, 0.001) == line.value(4000, 0.001)
    assert values(line, [4500, 5000, 10**6], 0.001) == [0, 0, 0]


@given(st.integers(1, 9000), st.integers(1, 2000), VALUES, st.floats(-10, 10), STEPS, STEPS)
def test_linear_stays_between_its_ends(steps, every, initial, to, step, set_at):
    line = Linear(to, steps, every)
    low, high = sorted([initial, to])
    slack = 1e-12 * max(abs(low), abs(high))
    assert low - slack <= line.value(step, initial) <= high + slack
    assert line.value(steps, initial) == to
    assert line.value(0, initial) == initial
    # Set by hand: it begins there, and ends where and when it did before.
    assert line.value(set_at, initial, since=set_at) == initial
    end = line.value(steps + set_at, initial, since=set_at)
    assert end == (to if set_at < steps else initial)


@given(st.integers(1, 500), VALUES, st.integers(0, 600), st.integers(0, 600))
def test_what_a_line_was_set_to_anyway_changes_nothing(steps, initial, set_at, later):
    line = Linear(0, steps, every=1)
    on_it = line.value(set_at, initial)
    again = line.value(set_at + later, on_it, since=set_at)
    assert again == pytest.approx(line.value(set_at + later, initial), rel=1e-6, abs=1e-12)


def test_updates():
    points = [(500, 0.8), (1000, 0.7), (1500, 0.9), (2000, 0.2)]
    schedule = Updates(points)
    steps = [0, 499, 500, 999, 1000, 1499, 1500, 1999, 2000, 10**6]
    expected = [0.5, 0.5, 0.8, 0.8, 0.7, 0.7, 0.9, 0.9, 0.2, 0.2]
    assert values(schedule, steps, 0.5) == expected
    assert values(Updates(reversed(points)), steps, 0.5) == expected


def test_updates_keep_their_own_values():
    rates = [0.1, 0.2]
    points = [(80, rates), (50, [0.3, 0.4])]
    schedule = Updates(points)
    rates[0] = 9
    points.clear()
    assert schedule.value(80, 0) == [0.1, 0.2]
    schedule.value(80, 0)[0] = 9
    assert schedule.value(80, 0) == [0.1, 0.2]
    assert schedule.points == [(50, [0.3, 0.4]), (80, [0.1, 0.2])]


def test_what_is_set_at_the_step_of_an_update_comes_after_it():
    schedule = Updates([(5, 0.1), (9, 0.2)])
    assert values(schedule, [5, 8, 9], 0.7, since=5) == [0.7, 0.7, 0.2]


def test_an_update_at_the_start():
    assert Updates([(0, 5)]).value(0, 1) == 5


@given(st.dictionaries(STEPS, VALUES, min_size=1, max_size=5), VALUES, STEPS, STEPS)
def test_updates_after_something_was_set(points, value, set_at, step):
    step = max(step, set_at)
    expected = value
    for at in sorted(points):
        if set_at < at <= step:
            expected = points[at]
    assert Updates(points.items()).value(step, value, since=set_at) == expected


def test_the_value_of_an_update_is_not_decayed_at_its_step():
    schedule = Updates([(80_000, 0.001), (50_000, 0.005)], then=Decay(0.5))
    assert schedule.value(1000, 1.0) == 0.5
    assert values(schedule, [50_000, 50_999, 51_000, 52_000], 1.0) == [
        0.005,
        0.005,
        0.0025,
        0.00125,
    ]
    assert schedule.value(80_000, 1.0) == 0.001
    assert schedule.value(52_000, 1.0, since=51_500) == 0.5


def test_lists():
    assert Decay(0.5).value(1000, [1.0, 3.0]) == [0.5, 1.5]
    assert Decay(0.5).value(1000, (1.0, [3.0])) == (0.5, [1.5])
    assert Linear(1, 2000).value(1000, [0.0, 3.0]) == [0.5, 2]
    assert Linear(1, 2000).value(2000, [0.0, 3.0]) == [1, 1]
    assert Updates([(5, [0.1, 0.2])]).value(5, 0.3) == [0.1, 0.2]


def test_a_list_that_is_given_is_not_the_one_that_is_returned():
    initial = [1.0, 2.0]
    for schedule in (Decay(0.5), Linear(0, 2000), Updates([(5, 0)])):
        found = schedule.value(1, initial)
        assert found == initial
        assert found is not initial


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Decay(-0.1), "factor has to be 0 or more, got -0.1"),
        (lambda: Decay(float("nan")), "factor has to be 0 or more"),
        (lambda: Decay(0.5, 0), "every has to be at least 1, got 0"),
        (lambda: Linear(0, 0), "steps has to be at least 1, got 0"),
        (lambda: Linear(0, 10, 0), "every has to be at least 1"),
        (lambda: Updates([]), "no points"),
        (lambda: Updates([(-1, 0.1)]), "cannot be negative, got -1"),
        (lambda: Updates([(5, 0.1), (2, 0.3), (5, 0.2)]), "step 5 has two values"),
    ],
)
def test_mistakes(make, text):
    with pytest.raises(ValueError, match=text):
        make()
