"""A file is locked by one at a time."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

from voxflow.stores.file_lock import lock_file

HOLDS = """
import os, sys
from voxflow.stores.file_lock import lock_file
print(lock_file(os.open(sys.argv[1], os.O_RDWR)), flush=True)
sys.stdin.read()
"""


def test_another_process_has_it_until_it_is_killed(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], **pipes) as other:
        assert other.stdout.readline() == "True\n"
        file = os.open(path, os.O_RDWR)
        assert not lock_file(file)
        other.send_signal(signal.SIGKILL)
    assert lock_file(file)
    os.close(file)


def test_without_locks_nobody_is_kept_out(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOTSUP, "there are none")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with open(tmp_path / "lock", "wb") as file:
        assert lock_file(file.fileno())
