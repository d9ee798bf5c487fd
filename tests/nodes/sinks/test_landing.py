"""What is begun to be written is written by somebody else, or by a thread."""

import threading

import numpy as np
import pytest

import voxflow as gp
from voxflow.nodes.sinks.landing import Landing
from voxflow.nodes.sinks.target import Piece


class Target:
    """Has pieces written beside us, or not."""

    def __init__(self, wait=None):
        self.wait = wait

    def begin(self, data, region):
        return self.wait


def piece(wait=None):
    return Piece(Target(wait), np.zeros(2), gp.Roi((0,), (2,)))


def nobody(*_):
    pytest.fail("nobody was to be asked")


def test_what_is_written_beside_us_is_waited_for():
    done = []
    with Landing() as landing:
        landing.begin(
            [piece(lambda: done.append(1)), piece(lambda: done.append(2))], nobody, nobody
        )
        assert done == []
        for wait in landing.take():
            wait()
        assert landing.take() == []
    assert done == [1, 2]


def test_a_thread_writes_the_rest_together():
    written, rest = [], [piece(), piece()]

    def write(pieces):
        written.append((pieces, threading.current_thread() is threading.main_thread()))

    with Landing() as landing:
        landing.begin([piece(lambda: None), *rest], write, nobody)
        for wait in landing.take():
            wait()
    assert written == [(rest, False)]


def test_at_the_end_all_is_written():
    done = []

    def fail():
        done.append("failed")
        raise ValueError

    with Landing() as landing:
        landing.begin([piece(fail), piece(lambda: done.append("written"))], nobody, done.append)
    assert done[0] == "failed"
    assert done[-1] == "written"


@pytest.mark.parametrize("beside", [True, False])
def test_errors_are_noted(beside):
    def fail(*_):
        raise ValueError("no room")

    noted = []
    with Landing() as landing:
        landing.begin([piece(fail if beside else None)], fail, noted.append)
        (wait,) = landing.take()
        with pytest.raises(ValueError, match="no room") as info:
            wait()
    assert noted == [info.value]


@pytest.mark.parametrize("beside", [True, False])
def test_all_is_settled_and_errors_are_kept_for_who_took_them(beside):
    def fail(*_):
        done.append("failed")
        raise ValueError("no room")

    done, noted = [], []
    with Landing() as landing:
        landing.begin([piece(lambda: done.append("written"))], nobody, nobody)
        landing.begin([piece(fail if beside else None)], fail, noted.append)
        landing.settle()
        assert sorted(done) == ["failed", "written"]
        landing.settle()
        first, second = landing.take()
        first()
        for _ in range(2):
            with pytest.raises(ValueError, match="no room"):
                second()
    assert len(done) == 2
    assert len(noted) == 1


@pytest.mark.parametrize("beside", [True, False])
def test_copies_are_used_again_when_they_are_written(beside):
    seen, written = [], []

    class Target:
        def begin(self, data, region):
            seen.append(data)
            return (lambda: written.append(data.tolist())) if beside else None

    def write(pieces):
        written.extend(piece.data.tolist() for piece in pieces)

    voxels = np.zeros(3)
    with Landing(keeps=True) as landing:
        for number in range(4):
            voxels[:] = number
            landing.begin([Piece(Target(), voxels, gp.Roi((0,), (3,)))], write, nobody)
            if number != 1:  # two are on their way once
                for wait in landing.take():
                    wait()
    assert written == [[number] * 3 for number in range(4)]
    assert not any(np.may_share_memory(voxels, copy) for copy in seen)
    assert len({id(copy) for copy in seen}) == 2
