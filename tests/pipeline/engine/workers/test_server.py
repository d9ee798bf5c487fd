"""The fork server goes quietly, whenever its parent does."""

import socket
import subprocess
import sys

import pytest

from voxflow.pipeline.engine.workers import WorkerPool
from voxflow.pipeline.engine.workers.wire import Connection

# The parent's end is closed between a request for a worker and the answer to it.
CODE = """
import sys
from voxflow.pipeline.engine.workers import server

fork = server._fork

def late(control, *args):
    control._sock.shutdown(2)
    return fork(control, *args)

server._fork = late
server.main(int(sys.argv[1]))
"""


def test_a_parent_that_goes_while_workers_start_is_no_error():
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-c", CODE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
    control = Connection(ours)
    worker, kept = socket.socketpair()
    with worker, kept:
        control.queue(("fork",), [worker.fileno()])
        control.flush()
        _, said = server.communicate(timeout=110)
    control.close()
    assert said == ""
    assert server.returncode == 0


@pytest.mark.usefixtures("clean_house")
def test_a_pool_may_be_stopped_at_once(capfd):
    pool = WorkerPool(abs, 2, ahead=2, name="test")
    pool.start()
    pool.stop()
    assert capfd.readouterr().err == ""
