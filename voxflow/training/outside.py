"""What is asked of a training from outside, and done between two steps."""

from __future__ import annotations

import logging
import queue
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol

from voxflow.training.commands import CommandError, NeedsYes
from voxflow.training.console import Console
from voxflow.training.interrupts import Interrupts, at_terminal
from voxflow.training.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.torch.nonfinite import Action, NonFiniteLoss
    from voxflow.training.session import Session

logger = logging.getLogger(__name__)

Listens = bool | Literal["auto"]
"""Whether a run listens: "auto", always or never."""


class Asked(Protocol):
    """A command that somebody waits for."""

    @property
    def line(self) -> str:
        """What was said."""

    def answer(self, reply: dict[str, Any]) -> None:
        """Say what came of it."""


class Outside:
    """Does what is asked of a run: at the console, which Ctrl-C opens, and over a socket.

    Other threads and the handler of the signal only put what they have into a queue. The thread
    that trains takes it out when no step is under way.

    Parameters
    ----------
    session
        The training.
    listens
        See `Session`.

    Attributes
    ----------
    held
        Whether the run waits until somebody lets it go on.
    """

    def __init__(self, session: Session, listens: Listens) -> None:
        if listens not in (True, False, "auto"):
            raise ValueError(f"console is True, False or 'auto', got {listens!r}")
        self._session = session
        self._listens = listens
        self._console = Console(session)
        # Its `put` may be called by a handler that interrupts it.
        self._queue: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._ended = False
        self._listening = False
        self.held = False
        self.doing = ""
        """What keeps those waiting who ask now."""

    @property
    def state(self) -> str:
        """Whether the run goes on: "running", "paused" or "ending"."""
        if self._session.stop_reason is not None or self._ended:
            return "ending"
        return "paused" if self.held else "running"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen, for the time of a block.

        Raises
        ------
        RuntimeError
            If there has to be a console, and there is no terminal.
        """
        session = self._session
        self.held, self._ended = False, False
        self._queue = queue.SimpleQueue()
        if not self._listens or not session.ranks.first:
            yield
            return
        interrupts = Interrupts(self._interrupted, self._waits_for)
        if self._listens is True and not (at_terminal() and interrupts.possible):
            raise RuntimeError(
                "console=True needs a terminal, and the main thread; leave it out to have a "
                "console where there is one"
            )
        with interrupts, self._socket():
            self._interrupts, self._listening = interrupts, True
            try:
                yield
            finally:
                self._ended, self._listening = True, False

    @contextmanager
    def _socket(self) -> Iterator[None]:
        if self._session.run_dir is None:
            yield
            return
        try:
            listener = Listener(self._session.run_dir, self._queue.put, self._hello)
        except OSError as error:
            logger.warning("nobody can attach to this run: %s", error)
            yield
            return
        with listener:
            yield

    # -- what other threads, and handlers of signals, call ----------------------------------------

    def _interrupted(self) -> str:
        """Ctrl-C was pressed; what is to be said of it."""
        # With processes beside this one, nobody could wait for a prompt.
        if at_terminal() and self._session.ranks.count == 1:
            self._queue.put(None)
            return f"a prompt opens {self._when()}"
        self._session.request_stop("it was interrupted")
        return f"the run ends {self._when()}"

    def _waits_for(self) -> str:
        return f"still waiting: this happens {self._when()}"

    def _when(self) -> str:
        return "now" if self.held else "when the step is done"

    def _hello(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "step": self._session.step,
            "doing": self.doing or "a step has to be done",
            "commands": sorted(command.name for command in self._session.commands),
        }

    # -- what the thread that trains calls --------------------------------------------------------

    def look_at(self, error: NonFiniteLoss) -> Action:
        """What is done about a loss that is not finite: somebody at the terminal looks at it.

        The step is left out, and a prompt opens before the next. Where nobody is, the run stops.
        """
        if not (self._listening and at_terminal() and self._session.ranks.count == 1):
            return "stop"
        self._queue.put(None)
        return "skip"

    def attend(self, patience: float = 1.0) -> bool:
        """Do what was asked; whether the run is held.

        Parameters
        ----------
        patience
            For how many seconds a run that is held waits for more.
        """
        if self._queue.empty() and self.state != "paused":
            return False
        with self._session.paused():
            self._do_all(0.0)
            if self.state == "paused":
                self.doing = "it is paused"
                self._do_all(patience)
                self.doing = ""
        return self.state == "paused"

    def _do_all(self, patience: float) -> None:
        while True:
            try:
                asked = self._queue.get(patience > 0, patience or None)
            except queue.Empty:
                return
            patience = 0.0
            if asked is None:
                self._open()
            else:
                asked.answer(self._reply(asked.line))

    def _open(self) -> None:
        self.doing = "the console is open"
        try:
            with self._interrupts.as_usual():
                said = self._console.open()
            # Not before: whoever reads it may press Ctrl-C again.
            print(said, flush=True)
        except KeyboardInterrupt:
            pass  # while the prompt was closed
        except Exception as error:
            logger.warning("the console failed, the training goes on", exc_info=error)
        finally:
            self.doing = ""

    def _reply(self, line: str) -> dict[str, Any]:
        session = self._session
        try:
            reply = {"ok": True, "text": session.commands.run(session, line, "attach")}
        except NeedsYes as error:
            reply = {"ok": False, "text": str(error), "yes": True}
        except (CommandError, LookupError, TypeError, ValueError, OSError) as error:
            reply = {"ok": False, "text": str(error)}
        except Exception as error:
            logger.warning("%r failed, the training goes on", line, exc_info=error)
            reply = {"ok": False, "text": f"{type(error).__name__}: {error}"}
        return {**reply, "state": self.state, "step": session.step}
