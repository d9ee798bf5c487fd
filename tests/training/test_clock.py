import threading

import pytest

from tests.training.fakes import Hands


def test_pauses_do_not_count():
    hands = Hands()
    clock = hands.clock()
    hands.seconds = 10
    with clock.paused():
        hands.seconds = 25
        assert clock.active_seconds == 10
    hands.seconds = 27
    assert clock.active_seconds == 12
    assert clock.wall_seconds == 27
    assert clock.now() == 1_000_027


def test_pauses_overlap():
    hands = Hands(seconds=100)
    clock = hands.clock()
    with clock.paused():
        hands.seconds += 1
        with clock.paused():
            hands.seconds += 1
        hands.seconds += 1
        assert clock.active_seconds == 0
    hands.seconds += 5
    assert clock.active_seconds == 5


def test_a_pause_ends_with_an_error():
    hands = Hands()
    clock = hands.clock()
    with pytest.raises(KeyError), clock.paused():
        hands.seconds = 3
        raise KeyError
    hands.seconds = 4
    assert clock.active_seconds == 1


@pytest.mark.parametrize("paused_when_saved", [False, True])
def test_goes_on_where_it_was(paused_when_saved):
    hands = Hands()
    clock = hands.clock()
    hands.seconds = 7200
    if paused_when_saved:
        with clock.paused():
            hands.seconds = 9000
            state = clock.state_dict()
    else:
        state = clock.state_dict()
    later = Hands(seconds=5, epoch=0)
    again = later.clock()
    later.seconds = 50  # before the checkpoint was loaded
    again.load_state_dict(state)
    assert again.active_seconds == 7200
    later.seconds = 51
    assert again.active_seconds == 7201
    assert again.wall_seconds == 46


def test_loading_in_a_pause_does_not_end_it():
    hands = Hands()
    clock = hands.clock()
    with clock.paused():
        clock.load_state_dict({"active_seconds": 3.0})
        hands.seconds = 10
        assert clock.active_seconds == 3
    assert clock.active_seconds == 3


def test_pauses_of_threads_overlap():
    hands = Hands()
    clock = hands.clock()
    inside, go = threading.Event(), threading.Event()

    def look():
        with clock.paused():
            inside.set()
            go.wait(60)

    thread = threading.Thread(target=look)
    with clock.paused():
        thread.start()
        assert inside.wait(60)
    hands.seconds = 8
    assert clock.active_seconds == 0
    go.set()
    thread.join()
    hands.seconds = 9
    assert clock.active_seconds == 1
