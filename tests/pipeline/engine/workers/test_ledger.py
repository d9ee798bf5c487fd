"""The order book: order, bound, errors, waiting."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.engine.workers.ledger import Ledger


@given(num_tasks=st.integers(1, 20), ahead=st.integers(1, 6), data=st.data())
def test_any_order_of_finishing_gives_the_order_of_submission(num_tasks, ahead, data):
    ledger = Ledger(ahead, lambda: None)
    for i in range(num_tasks):
        ledger.add(i)
    taken, finished, got = [], set(), []
    while len(got) < num_tasks:
        while (item := ledger.take()) is not None:
            taken.append(item)
        assert len(taken) - len(got) <= ahead
        open_tasks = sorted(set(i for i, _ in taken) - finished)
        if open_tasks:
            i = data.draw(st.sampled_from(open_tasks))
            ledger.finish(i, lambda i=i: i)
            finished.add(i)
        while len(got) in finished:
            got.append(ledger.result())
            assert ledger.pending == num_tasks - len(got)
    assert got == list(range(num_tasks))
    assert [task for _, task in taken] == list(range(num_tasks))


def test_an_error_wakes_the_consumer_and_stays():
    ledger = Ledger(1, lambda: None)
    ledger.add("a")
    threading.Timer(0.05, ledger.fail, [KeyError("first")]).start()
    with pytest.raises(KeyError, match="first"):
        ledger.result()
    ledger.fail(ValueError("second"))
    for call in (ledger.result, lambda: ledger.add("b")):
        with pytest.raises(KeyError, match="first"):
            call()
    assert ledger.take(wait=True) is None


def test_room_is_announced():
    calls = []
    ledger = Ledger(1, lambda: calls.append(1))
    ledger.add("a")
    ledger.take()
    ledger.finish(0, lambda: "A")
    assert ledger.result() == "A"
    assert len(calls) == 2


def test_a_raising_outcome_counts_as_delivered():
    ledger = Ledger(2, lambda: None)
    for task in (0, 1):
        ledger.add(task)
        ledger.take()
    ledger.finish(0, lambda: 1 / 0)
    ledger.finish(1, lambda: "fine")
    with pytest.raises(ZeroDivisionError):
        ledger.result()
    assert ledger.result() == "fine"


def test_tasks_that_nobody_has_taken_can_be_dropped():
    ledger = Ledger(ahead=2, on_room=lambda: None)
    assert ledger.discard() == 0
    for task in "abcd":
        ledger.add(task)
    assert ledger.take() == (0, "a")
    assert ledger.discard() == 3
    assert ledger.pending == 1
    ledger.add("e")
    assert ledger.take() == (1, "e")
    ledger.finish(1, lambda: "E")
    ledger.finish(0, lambda: "A")
    assert [ledger.result(), ledger.result()] == ["A", "E"]
    with pytest.raises(RuntimeError, match="No result is pending"):
        ledger.result()
