"""Takes commands over a socket in the directory of a run, and hands them to the training."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxflow.training.unix_socket import BoundSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

SOCKET = "attach.sock"
"""What the socket is called in the directory of a run."""

_CLIENTS = 16
_LONGEST = 64 * 1024  # bytes of a line
_SEND = 10.0  # seconds that a client may take to read
_LAST_WORDS = 1.0  # seconds that all answers to the last commands may take


_ENDED = {"ok": False, "text": "the run has ended", "state": "ending"}


class Said:
    """A command of a client, until it is answered."""

    def __init__(self, line: str) -> None:
        self.line = line
        self._reply: dict[str, Any] = {}
        self._answered = threading.Event()

    def answer(self, reply: dict[str, Any]) -> None:
        """Say what came of it; the first answer counts. Waits for nobody."""
        self._reply = self._reply or reply
        self._answered.set()

    def reply(self) -> dict[str, Any]:
        """Wait for the answer."""
        self._answered.wait()
        return self._reply


class Listener:
    """Listens while a run goes on, in threads of its own; a client has one, and holds up no other.

    Lines of JSON go both ways. A client is told at once how the run is, sends
    ``{"command": "setlr 0.001"}``, and gets ``{"received": true, "doing": ...}`` at once and
    ``{"ok": true, "text": ..., "state": ..., "step": ...}`` when it is done. What was received
    whole is done, whether or not somebody waits for the answer.

    Parameters
    ----------
    folder
        The directory of the run.
    ask
        Takes commands; called in other threads.
    hello
        What a client is told of the run.

    Raises
    ------
    OSError
        If there can be no socket.
    """

    def __init__(
        self, folder: Path, ask: Callable[[Said], None], hello: Callable[[], dict[str, Any]]
    ) -> None:
        self._ask = ask
        self._hello = hello
        self._bound = BoundSocket(Path(folder) / SOCKET)
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._open: set[Said] = set()
        self._closing = False
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="voxflow attach", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Send what is answered, and end."""
        with self._lock:
            self._closing = True
            clients = dict(self._clients)
            for said in self._open:
                said.answer(_ENDED)
        with contextlib.suppress(OSError):
            self._bound.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._bound.close()
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RD)
        end = time.monotonic() + _LAST_WORDS
        for client, thread in clients.items():
            thread.join(max(0.0, end - time.monotonic()))
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._thread.join(_LAST_WORDS)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._bound.socket.accept()
            except OSError:
                if self._closing or self._bound.socket.fileno() < 0:
                    return
                # It had gone again; or there are too many open files.
                self._pause.wait(0.1)
                continue
            thread = threading.Thread(
                target=self._serve, args=(client,), name="voxflow attach client", daemon=True
            )
            with self._lock:
                if self._closing or len(self._clients) >= _CLIENTS:
                    client.close()
                    continue
                self._clients[client] = thread
                # Before `close` may see it, which waits for it.
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client:
                self._send(client, self._hello())
                for line in _lines(client):
                    self._send(client, self._answered(client, line))
        except OSError:
            pass  # it has gone, or does not read
        finally:
            with self._lock:
                self._clients.pop(client, None)

    def _answered(self, client: socket.socket, line: bytes) -> dict[str, Any]:
        try:
            command = json.loads(line)["command"]
            if not isinstance(command, str):
                raise TypeError("the command is no text")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"ok": False, "text": f'this is no {{"command": "..."}}: {error}'}
        said = Said(command)
        with self._lock:
            if self._closing:
                return _ENDED
            self._open.add(said)
            self._ask(said)
        with contextlib.suppress(OSError):
            self._send(client, {"received": True, "doing": self._hello()["doing"]})
        reply = said.reply()
        with self._lock:
            self._open.discard(said)
        return reply

    def _send(self, client: socket.socket, reply: dict[str, Any]) -> None:
        client.settimeout(_SEND)
        client.sendall(json.dumps(reply).encode() + b"\n")
        client.settimeout(None)


def _lines(client: socket.socket) -> Iterator[bytes]:
    """Lines, until the client has gone. One that is too long ends it."""
    rest = b""
    while True:
        line, found, after = rest.partition(b"\n")
        if found:
            rest = after
            yield line
        elif len(rest) > _LONGEST or not (more := client.recv(_LONGEST)):
            return
        else:
            rest += more
