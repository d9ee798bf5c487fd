"""A worker follows its parent without the help of the kernel or a fork server."""

import os
import subprocess
import sys

import pytest

WATCH = """
import os, sys, time
from voxflow.pipeline.engine.workers.lifeline import watch_parent
watch_parent(int(sys.argv[1]), int(sys.argv[2]))
print("up", flush=True)
while True:  # busy, not waiting for anything
    pass
"""


@pytest.mark.parametrize("what_ends", ["pipe", "parent"])
def test_the_end_of_pipe_or_parent_is_the_end(what_ends):
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    r, w = os.pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WATCH, str(r), str(parent.pid)]
    child = subprocess.Popen(command, pass_fds=[r], stdout=subprocess.PIPE, env=environment)
    os.close(r)
    try:
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        if what_ends == "pipe":
            os.close(w)
        else:
            if not hasattr(os, "pidfd_open"):
                pytest.skip("only the pipe can be watched here")
            parent.kill()
            parent.wait()
        assert child.wait(5.0) == 1
    finally:
        child.kill()
        child.communicate()
        parent.kill()
        parent.communicate()
        if what_ends == "parent":
            os.close(w)
