import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.training.when import Every, Moment


def fired(every, moments, last=None):
    """Which reasons there were, with the number of the step."""
    reasons = [(m.step, every.due(m, last=m.step == last)) for m in moments]
    return [(step, reason) for step, reason in reasons if reason is not None]


def steps(n, seconds=1.0, per_epoch=10):
    return [Moment(i, i * seconds, i // per_epoch) for i in range(n + 1)]


def test_every_so_many_steps():
    assert fired(Every(steps=20), steps(50)) == [(20, "step-20"), (40, "step-40")]


def test_step_0_is_monitored_once():
    every = Every(steps=10, at_start=True)
    assert [step for step, _ in fired(every, steps(30))] == [0, 10, 20, 30]
    resumed = Every(steps=10, at_start=True)
    first = Every(steps=10, at_start=True)
    assert first.due(Moment(0)) == "start"
    assert first.due(Moment(0)) is None
    resumed.load_state_dict(first.state_dict())
    assert resumed.due(Moment(0)) is None


def test_the_last_step_is_not_taken_twice():
    every = Every(steps=20, at_end=True)
    assert fired(every, steps(50), last=50)[-1] == (50, "end")
    assert fired(Every(steps=25, at_end=True), steps(50), last=50)[-1] == (50, "step-50")
    once = Every(steps=25, at_end=True)
    assert once.due(Moment(50)) == "step-50"
    assert once.due(Moment(50), last=True) is None
    assert fired(Every(at_end=True), steps(3), last=3) == [(3, "end")]


def test_every_hour_three_and_a_half_hours():
    quarters = [Moment(i, i * 900.0 + 7) for i in range(15)]
    assert fired(Every(hours=1.0), quarters) == [
        (4, "hours-1"),
        (8, "hours-2"),
        (12, "hours-3"),
    ]


def test_the_first_preview_is_sooner():
    minutes = [Moment(i, i * 60.0) for i in range(8 * 60)]
    reasons = fired(Every(hours=3.0, first_hours=1.0), minutes)
    assert reasons == [(60, "hours-1"), (240, "hours-4"), (420, "hours-7")]


def test_a_late_question_puts_nothing_off():
    every = Every(hours=1)
    assert every.due(Moment(1, 3 * 3600.0 + 1800)) == "hours-3"
    assert every.due(Moment(2, 3 * 3600.0 + 1900)) is None
    assert every.due(Moment(3, 4 * 3600.0)) == "hours-4"


def test_parts_of_hours_add_up():
    every = Every(hours=0.1)
    reasons = [every.due(Moment(i, i * 360.0 + 1)) for i in range(1, 31)]
    assert reasons[2] == "hours-0.3"
    assert reasons[9] == "hours-1"
    assert reasons[29] == "hours-3"


def test_every_so_many_epochs():
    assert fired(Every(epochs=2), steps(65)) == [
        (20, "epoch-2"),
        (40, "epoch-4"),
        (60, "epoch-6"),
    ]


def test_whatever_comes_first():
    every = Every(steps=3, hours=1, epochs=1)
    moments = [Moment(i, i * 900.0, i // 5) for i in range(1, 9)]
    assert fired(every, moments) == [
        (3, "step-3"),
        (4, "hours-1"),
        (5, "epoch-1"),
        (6, "step-6"),
        (8, "hours-2"),
    ]


def test_an_interval_is_changed_at_once():
    every = Every(steps=100)
    assert every.due(Moment(7)) is None
    every.steps = 4
    assert every.due(Moment(8)) == "step-8"
    every.hours = 0.5
    assert every.due(Moment(9, 1800.0)) == "hours-0.5"


@given(
    st.integers(1, 60),
    st.integers(1, 9),
    st.floats(0.05, 2),
    st.integers(1, 4),
    st.floats(1, 4000),
)
def test_a_resumed_run_is_due_as_one_that_was_not_stopped(stop, by, hours, epochs, seconds):
    def make():
        return Every(steps=by, hours=hours, epochs=epochs, at_start=True, at_end=True)

    moments = steps(60, seconds)
    whole = fired(make(), moments, last=60)
    first, second = make(), make()
    before = fired(first, moments[:stop])
    second.load_state_dict(first.state_dict())
    assert before + fired(second, moments[stop:], last=60) == whole


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="say when: Every"):
        Every()
    with pytest.raises(ValueError, match="steps has to be at least 1, got 0"):
        Every(steps=0)
    with pytest.raises(TypeError, match=r"steps has to be a whole number, got 2\.5"):
        Every(steps=2.5)
    with pytest.raises(TypeError, match="epochs has to be a whole number, got True"):
        Every(epochs=True)
    with pytest.raises(ValueError, match="hours has to be above 0, got -1"):
        Every(hours=-1)
    with pytest.raises(ValueError, match="hours has to be above 0, got nan"):
        Every(hours=float("nan"))
    with pytest.raises(ValueError, match="first_hours= needs hours="):
        Every(steps=1, first_hours=1)
    every = Every(steps=5)
    with pytest.raises(ValueError, match="at least 1"):
        every.steps = -5
