"""Small messages over a stream socket, with descriptors beside them."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

_HEAD = struct.Struct("<IH")  # bytes of the body; descriptors that travel with it
_CHUNK = 1 << 16
_MAX_FDS = 253  # what a message can carry on Linux
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def readable(fds: Sequence[int], seconds: float | None = None) -> bool:
    """Wait until one of the descriptors can be read or has lost its other end.

    Unlike ``select`` it takes descriptors of any number, as in a process with many open files.

    Examples
    --------
    >>> r, w = os.pipe()
    >>> readable([r], 0)
    False
    >>> os.close(w)
    >>> readable([r])
    True
    >>> os.close(r)
    """
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else max(0.0, seconds) * 1000))


class Message(NamedTuple):
    """One message: a tuple of plain values, and the descriptors that came with it."""

    body: tuple[Any, ...]
    fds: tuple[int, ...] = ()


class Connection:
    """One end of a socket pair.

    A worker uses `send` and `receive`, which wait. The parent must never wait for a worker that
    may be stopped in the middle of a message, so it uses `queue`, `flush` and `arrived`.

    Examples
    --------
    >>> here, there = map(Connection, socket.socketpair())
    >>> here.send(("task", 3))
    >>> there.receive().body
    ('task', 3)
    >>> here.close()
    >>> there.receive() is None
    True
    >>> there.close()
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._inbox = bytearray()
        self._fds: deque[int] = deque()
        self._parsed: deque[Message] = deque()
        self._outbox: deque[tuple[memoryview, Sequence[int]]] = deque()

    def fileno(self) -> int:
        """Return the descriptor of the socket, -1 once it is closed."""
        return self._sock.fileno()

    def set_blocking(self, blocking: bool) -> None:
        """Choose whether reads and writes wait."""
        self._sock.setblocking(blocking)

    def close(self) -> None:
        """Close the socket and any descriptor that nobody has taken."""
        self._sock.close()
        for message in self._parsed:
            self._fds.extend(message.fds)
        self._parsed.clear()
        while self._fds:
            os.close(self._fds.popleft())

    def send(self, body: tuple[Any, ...], fds: Sequence[int] = ()) -> None:
        """Send a message, waiting until it is on its way."""
        self.queue(body, fds)
        self.flush()

    def queue(self, body: tuple[Any, ...], fds: Sequence[int] = ()) -> None:
        """Put a message into the outbox."""
        data = pickle.dumps(body, protocol=5)
        self._outbox.append((memoryview(_HEAD.pack(len(data), len(fds)) + data), fds))

    @property
    def unsent(self) -> bool:
        """Whether the outbox holds anything."""
        return bool(self._outbox)

    def flush(self) -> None:
        """Send what the socket takes."""
        while self._outbox:
            data, fds = self._outbox[0]
            try:
                sent = socket.send_fds(self._sock, [data], fds) if fds else self._sock.send(data)
            except BlockingIOError:
                return
            if sent == len(data):
                self._outbox.popleft()
            else:
                self._outbox[0] = (data[sent:], ())

    def receive(self) -> Message | None:
        """Wait for one message; None when the other end is gone."""
        while not self._parsed:
            if not self._read():
                return None
        return self._parsed.popleft()

    def arrived(self) -> tuple[list[Message], bool]:
        """Return what has arrived without waiting, and whether the other end still lives."""
        alive = True
        with contextlib.suppress(BlockingIOError):
            while alive:
                alive = self._read()
        messages = list(self._parsed)
        self._parsed.clear()
        return messages, alive

    def _read(self) -> bool:
        """Read once; False at the end of the stream."""
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, _CHUNK, _MAX_FDS, _CLOEXEC)
        except ConnectionResetError:
            return False
        self._fds.extend(fds)
        self._inbox += data
        while len(self._inbox) >= _HEAD.size:
            size, num_fds = _HEAD.unpack_from(self._inbox)
            end = _HEAD.size + size
            if len(self._inbox) < end:
                break
            body = pickle.loads(bytes(self._inbox[_HEAD.size : end]))
            del self._inbox[:end]
            taken = tuple(self._fds.popleft() for _ in range(num_fds))
            self._parsed.append(Message(body, taken))
        return bool(data)
