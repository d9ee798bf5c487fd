import threading
import time

import pytest

from voxflow.pipeline.engine.own_time import OwnTime, is_told


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
