"""Work beside the training is done in its order, and never piles up."""

import threading

from voxflow.training.aside import Aside


def test_all_is_done_in_order_in_another_thread():
    found, threads = [], set()

    def note(number):
        threads.add(threading.current_thread())
        found.append(number)

    aside = Aside(waiting=3)
    for number in range(20):
        aside.do(note, number)
    aside.wait()
    assert found == list(range(20))
    assert threading.current_thread() not in threads
    aside.close()
    aside.do(note, 20)  # after the end it begins anew
    aside.close()
    assert found[-1] == 20
    assert not any(thread.is_alive() for thread in threads)


def test_what_waits_is_bounded():
    go, begun = threading.Event(), threading.Event()
    aside = Aside(waiting=2)

    def hold():
        begun.set()
        go.wait(60)

    aside.do(hold)
    assert begun.wait(60)
    aside.do(len, ())
    aside.do(len, ())
    full = threading.Thread(target=aside.do, args=(len, ()))
    full.start()
    full.join(0.1)
    assert full.is_alive()
    go.set()
    full.join(60)
    assert not full.is_alive()
    aside.close()


def test_what_fails_ends_nothing():
    found = []
    aside = Aside()
    aside.do(int, "no number")
    aside.do(found.append, 1)
    aside.close()
    assert found == [1]
