"""Messages keep their borders and their descriptors, however the stream is cut."""

import os
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.pipeline.engine.workers.wire import Connection, readable


@settings(deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 100, 65_530, 200_000]), min_size=1, max_size=6))
def test_messages_of_any_size_arrive_without_anybody_waiting(sizes):
    here, there = map(Connection, socket.socketpair())
    here.set_blocking(False)
    there.set_blocking(False)
    r, w = os.pipe()
    for i, size in enumerate(sizes):
        here.queue((i, bytes(size)), [r] if i % 2 else [])
    got = []
    while len(got) < len(sizes):
        here.flush()
        messages, alive = there.arrived()
        assert alive
        got += messages
    assert not here.unsent
    for i, message in enumerate(got):
        assert message.body == (i, bytes(sizes[i]))
        assert len(message.fds) == i % 2
        for fd in message.fds:
            assert os.fstat(fd).st_ino == os.fstat(r).st_ino
            os.close(fd)
    here.close()
    assert there.arrived() == ([], False)
    there.close()
    os.close(r)
    os.close(w)


def test_what_was_sent_before_the_end_is_heard():
    here, there = map(Connection, socket.socketpair())
    here.send(("last words",))
    here.close()
    messages, alive = there.arrived()
    assert (messages[0].body, alive) == (("last words",), False)
    there.close()


def test_descriptors_that_nobody_takes_are_closed():
    here, there = map(Connection, socket.socketpair())
    r, w = os.pipe()
    here.send((0,), [w])
    here.send((1,), [w])
    os.close(w)
    os.close(there.receive().fds[0])
    there.close()
    assert readable([r], 1.0)
    os.close(r)
    here.close()
