"""Talk to a training that runs in another process."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from voxflow.training.listener import SOCKET
from voxflow.training.unix_socket import connected

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Attached", "NotRunning", "Reply", "attach_to"]


class NotRunning(ConnectionError):
    """No training runs in a directory, or it has ended, or it listens to nobody."""


class Reply(NamedTuple):
    """What a training says to a command.

    Attributes
    ----------
    ok
        Whether it was done.
    text
        What there is to show: what came of it, or why it was not done.
    state
        How the run is: "running", "paused" or "ending".
    step
        How many steps are done.
    needs_yes
        Whether it was not done because something would be lost; with ``yes`` it is done.
    """

    ok: bool
    text: str
    state: str
    step: int
    needs_yes: bool = False


class Attached:
    """A connection to a training, as of `attach_to`; use it in a ``with`` block.

    Attributes
    ----------
    state, step
        How the run is, and how many steps are done, as of the last answer.
    commands
        The names of its commands.
    """

    def __init__(self, made: socket.socket, where: Path, timeout: float | None) -> None:
        self._socket = made
        self._where = where
        self._rest = b""
        self._owed = 0  # answers to what was said, those that came too late among them
        made.settimeout(timeout)
        hello = self._next()
        self.state = str(hello["state"])
        self.step = int(hello["step"])
        self.commands: list[str] = list(hello["commands"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the training alone."""
        self._socket.close()

    def say(self, line: str, waiting: Callable[[str], None] | None = None) -> Reply:
        """Let a command be done between two steps, and wait for that.

        Parameters
        ----------
        line
            The name of the command and its arguments, such as ``"setlr 0.001"``.
        waiting
            Called once it was received, with what has to be waited for.

        Returns
        -------
        Reply
            What came of it.

        Raises
        ------
        NotRunning
            If the training has ended meanwhile.
        TimeoutError
            If there is no answer in time. What was received is done all the same.
        """
        try:
            self._socket.sendall(json.dumps({"command": line}).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError) as error:
            raise NotRunning(f"the training in {self._where} has ended") from error
        self._owed += 1
        found: dict[str, Any] = {}
        while self._owed:
            found = self._next()
            if not found.get("received"):
                self._owed -= 1
            elif self._owed == 1 and waiting is not None:
                waiting(str(found["doing"]))
        self.state = str(found.get("state", self.state))
        self.step = int(found.get("step", self.step))
        yes = bool(found.get("yes", False))
        return Reply(bool(found["ok"]), str(found["text"]), self.state, self.step, yes)

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                seconds = self._socket.gettimeout()
                raise TimeoutError(
                    f"the training in {self._where} did not answer in {seconds} s; what it has "
                    "received, it does when the step is done"
                ) from None
            except ConnectionResetError:
                more = b""
            if not more:
                raise NotRunning(f"the training in {self._where} has ended")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


def attach_to(run_dir: str | Path, timeout: float | None = None) -> Attached:
    """Connect to a training that runs in another process of this machine.

    Parameters
    ----------
    run_dir
        The directory of the run.
    timeout
        How many seconds to wait for an answer; None: as long as it takes. A step has to end first.

    Raises
    ------
    FileNotFoundError
        If there is no such directory.
    NotRunning
        If no training runs there.
    PermissionError
        If it is somebody else's.
    """
    folder = Path(run_dir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{run_dir} is no folder; give the directory of a run")
    try:
        made = connected(folder.absolute() / SOCKET)
    except FileNotFoundError as error:
        raise NotRunning(f"no training runs in {run_dir}, or it listens to nobody") from error
    except ConnectionRefusedError as error:
        raise NotRunning(
            f"the training in {run_dir} was killed, or runs on another machine"
        ) from error
    except PermissionError as error:
        raise PermissionError(f"the training in {run_dir} belongs to somebody else") from error
    try:
        return Attached(made, folder, timeout)
    except BaseException:
        made.close()
        raise
