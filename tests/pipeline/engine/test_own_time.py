import itertools
import threading
import time

import pytest

from voxflow.pipeline.data import Batch
from voxflow.pipeline.engine.own_time import Between, OwnTime, enter, is_told, leave


def test_what_is_measured_within_does_not_count():
    inners = []
    with OwnTime() as outer:
        time.sleep(0.02)
        for _ in range(2):
            with OwnTime() as inner:
                time.sleep(0.03)
                is_told(0.02)
            inners.append(inner)
    for inner in inners:
        assert inner.seconds == pytest.approx(inner.stop - inner.start - 0.02)
    within = sum(inner.stop - inner.start for inner in inners)
    assert outer.seconds == pytest.approx(outer.stop - outer.start - within)
    assert outer.seconds >= 0.02


def test_nothing_is_left_behind_by_an_error():
    with OwnTime() as outer:
        with pytest.raises(ValueError, match="no"), OwnTime():
            time.sleep(0.02)
            raise ValueError("no")
    assert outer.seconds <= outer.stop - outer.start - 0.02
    with OwnTime() as after:
        time.sleep(0.01)
    assert after.seconds == after.stop - after.start


def test_threads_do_not_mix():
    found = []

    def other():
        with OwnTime() as own:
            time.sleep(0.02)
        found.append(own.seconds)

    with OwnTime() as here:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert here.seconds >= 0.02
    assert found[0] >= 0.02


def visit(work=None):
    """Serve a node, in three ticks of the engine and what it does within."""
    entered = enter()
    time.time()
    time.time()
    try:
        if work is not None:
            work()
    finally:
        leave(entered)


def fail():
    raise ValueError("no")


def between(*works):
    batch = Batch()
    with Between() as measured:
        for work in works:
            visit(work)
        measured.record(batch)
    (record,) = batch.profiling_stats.get_records()
    assert record[:2] == ("Engine", "between")
    return record.stop - record.start, record.seconds


def test_between_nodes_is_what_nobody_tells_of(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))

    def tells():
        is_told(1.0)

    def within():
        assert between(None) == (5, 5)

    assert between() == (1, 1)
    assert between(None) == (5, 5)
    assert between(visit, None) == (13, 13)
    assert between(lambda: visit(tells)) == (9, 8)
    whole, seconds = between(visit, within)
    assert whole - seconds == 6  # which is the other request's


def test_an_error_leaves_no_time_between(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    with OwnTime() as outer, pytest.raises(ValueError, match="no"):
        between(fail)
    assert outer.seconds <= 2
    assert between(None) == (5, 5)
