"""Starting worker processes, and learning how they ended.

Both ways start a fresh interpreter on our own module (`server` or `child`), never on the user's
script. Scripts of this field have no ``if __name__ == "__main__"`` guard; importing one again
in a worker, as the standard library does, would run the whole training again. So workers have
an empty ``__main__``, and what lives in the script's travels by value.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Protocol

from .errors import WorkerDied
from .limits import thread_caps
from .wire import Connection, readable

_BOOT_SECONDS = 60.0

installed_in_workers: list[str] = []
"""Modules with an ``install()`` that every worker calls before it reads its work."""


class Handle:
    """A started worker process.

    Attributes
    ----------
    pid : int
    connection : Connection
    exitcode : int or None
        None while it runs, or when nobody knows.
    """

    def __init__(self, pid: int, connection: Connection) -> None:
        self.pid = pid
        self.connection = connection
        self.exitcode: int | None = None
        self.ended = False
        # A number can be given to another process, a pidfd cannot.
        self.pidfd: int | None = None
        with contextlib.suppress(AttributeError, OSError):
            self.pidfd = os.pidfd_open(pid)

    def has_ended(self) -> bool:
        """Say whether the process has ended, without the help of who started it."""
        if not self.ended:
            if self.pidfd is not None:
                self.ended = readable([self.pidfd], 0)
            else:
                try:
                    os.kill(self.pid, 0)
                except ProcessLookupError:
                    self.ended = True
        return self.ended

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is known to have ended."""
        if self.ended:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.pidfd is not None:
                signal.pidfd_send_signal(self.pidfd, number)
            else:
                os.kill(self.pid, number)

    def close(self) -> None:
        """Let go of the descriptors."""
        self.connection.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None


class Launcher(Protocol):
    """Starts workers, collects how they ended."""

    def launch(self, count: int) -> list[Handle]:
        """Start workers, all at once."""

    def collect(self) -> None:
        """Note on the handles which workers have ended."""

    def fileno(self) -> int | None:
        """Return a descriptor that becomes readable when there may be something to collect."""

    def close(self) -> None:
        """Leave nothing behind."""


class SpawnLauncher:
    """Every worker is a fresh interpreter."""

    def __init__(self, num_workers: int) -> None:
        self._environment = {**os.environ, **thread_caps(num_workers)}
        self._running: list[tuple[Handle, subprocess.Popen[bytes]]] = []

    def launch(self, count: int) -> list[Handle]:
        """Start workers, all at once."""
        handles = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            with theirs:
                popen = _interpreter("child", "run_worker", theirs.fileno(), self._environment)
            handle = Handle(popen.pid, Connection(ours))
            self._running.append((handle, popen))
            handles.append(handle)
        return handles

    def collect(self) -> None:
        """Note on the handles which workers have ended."""
        for handle, popen in self._running:
            if popen.poll() is not None:
                handle.exitcode, handle.ended = popen.returncode, True

    def fileno(self) -> int | None:
        """Return None: the workers' own descriptors tell."""
        return None

    def close(self) -> None:
        """Leave nothing behind."""
        for _, popen in self._running:
            popen.kill()
            popen.wait()


class ForkServerLauncher:
    """Workers are forked from a small server of this pool's own."""

    def __init__(self, num_workers: int) -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, **thread_caps(num_workers)}
        with theirs:
            self._popen = _interpreter("server", "main", theirs.fileno(), environment)
        self._control = Connection(ours)
        self._control.set_blocking(False)
        self._handles: dict[int, Handle] = {}

    def launch(self, count: int) -> list[Handle]:
        """Start workers, all at once."""
        waiting = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            with theirs:
                self._control.queue(("fork",), [theirs.fileno()])
                self._control.flush()
            waiting.append(ours)
        handles: list[Handle] = []
        deadline = time.monotonic() + _BOOT_SECONDS
        while len(handles) < count:
            if not readable([self._control.fileno()], deadline - time.monotonic()):
                raise WorkerDied(f"The fork server did not answer within {_BOOT_SECONDS:.0f} s.")
            for pid in self._read():
                handle = Handle(pid, Connection(waiting[len(handles)]))
                self._handles[pid] = handle
                handles.append(handle)
        return handles

    def collect(self) -> None:
        """Note on the handles which workers have ended."""
        self._read()

    def fileno(self) -> int | None:
        """Return the control socket's descriptor."""
        return self._control.fileno()

    def close(self) -> None:
        """Leave nothing behind."""
        self._control.close()
        try:
            self._popen.wait(2.0)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _read(self) -> list[int]:
        """Note ended workers; return the numbers of started ones."""
        messages, alive = self._control.arrived()
        started = []
        for message in messages:
            kind, pid, *rest = message.body
            if kind == "started":
                started.append(pid)
            else:
                handle = self._handles.pop(pid)
                handle.exitcode, handle.ended = rest[0], True
        if not alive:
            code = self._popen.wait(2.0)
            error = WorkerDied(
                f"The fork server (pid {self._popen.pid}) ended unexpectedly: "
                f"exit code {code}. Its workers were ended with it."
            )
            error.pid, error.exitcode = self._popen.pid, code
            raise error
        return started


def _interpreter(
    module: str, function: str, fd: int, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a Python that calls ``function(fd)`` of one of our modules."""
    path = [entry or os.getcwd() for entry in sys.path]
    installs = "".join(f"import {m}; {m}.install(); " for m in installed_in_workers)
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"sys.path[:] = {path!r}; {installs}"
        f"from {__package__}.{module} import {function}; {function}({fd})"
    )
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return subprocess.Popen(
        [sys.executable, *flags, "-c", code],
        stdin=subprocess.DEVNULL,
        env=environment,
        pass_fds=[fd],
    )
