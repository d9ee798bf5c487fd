"""The fork server: a small process without threads from which workers are forked.

The standard library's one keeps a socket in a temporary folder and a resource tracker beside
it, and both outlive a parent that is killed; and it imports the user's script again. This one
belongs to one pool, talks over an inherited socket, and kills its workers when the pool is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import NoReturn

import numpy as np

from .child import run_worker
from .wire import Connection, readable


def main(control_fd: int) -> NoReturn:
    """Serve until the parent closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_r, False)
    os.set_blocking(wake_w, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    control = Connection(socket.socket(fileno=control_fd))
    control.set_blocking(False)
    workers: set[int] = set()
    alive = True
    while alive:
        readable([control.fileno(), wake_r])
        with contextlib.suppress(BlockingIOError):
            os.read(wake_r, 4096)
        messages, alive = control.arrived()
        try:
            for message in messages if alive else ():
                pid = _fork(control, message.fds[0], (wake_r, wake_w))
                workers.add(pid)
                control.send(("started", pid))
            _report_dead(control, workers)
        except (BrokenPipeError, ConnectionResetError):
            alive = False  # the parent stops while its workers start
    for pid in workers:
        # Not yet waited for, so the number still is this worker's. Kill also ends stopped ones.
        os.kill(pid, signal.SIGKILL)
    for pid in workers:
        os.waitpid(pid, 0)
    os._exit(0)


def _fork(control: Connection, worker_fd: int, own_fds: tuple[int, ...]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            for fd in own_fds:
                os.close(fd)
            np.random.seed()  # otherwise the same in all workers
            run_worker(worker_fd)
        finally:
            os._exit(1)
    os.close(worker_fd)
    return pid


def _report_dead(control: Connection, workers: set[int]) -> None:
    while workers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        workers.discard(pid)
        control.send(("ended", pid, os.waitstatus_to_exitcode(status)))
