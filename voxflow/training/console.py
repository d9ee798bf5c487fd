"""The prompt that opens between two steps: Python, and the commands of the training."""

from __future__ import annotations

import code
import codeop
import contextlib
import importlib.util
import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxflow.training.commands import NeedsYes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from voxflow.training.session import Session

logger = logging.getLogger(__name__)

EVENT = "console"
"""The name of the event with what was typed, where it was no command."""

LEAVE = ("resume", "stop", "kill")
"""Commands after which nobody waits at the prompt any more."""

_PROMPT = "voxflow> "
_AFTER = {
    "running": "the training goes on after step {}",
    "paused": "the training waits after step {}, until somebody says resume",
    "ending": "the run ends after step {}",
}
_DO = "_voxflow_do"
_SHORT = {"q": "resume", "quit": "resume", "exit": "resume"}
# What follows a name in an assignment or a comparison; nothing else is Python after a blank.
_PYTHON = re.compile(r"\(|=|([-+*/%@&|^:]|//|\*\*|<<|>>|<|>|!)=|(is|in|and|or|if|not)\b")


class Console:
    """A prompt for a session, between two steps.

    What is typed is Python, with the session and its parts in scope, unless it begins with the
    name of a command: ``setlr 0.001`` is ``setlr(0.001)``. Variables stay for the next time. What
    fails is shown; however the prompt is left, the training goes on, unless ``stop`` or ``kill``
    was said.

    Parameters
    ----------
    session
        The training.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._namespace: dict[str, Any] = {}
        self._put: dict[str, Any] = {}
        self._functions: set[str] = set()
        self.left = False
        self._last = ""

    def open(self) -> str:
        """Prompt until somebody lets the training go on.

        Returns
        -------
        str
            What happens now, to be shown when the prompt is closed.
        """
        session, self.left, self._last = self._session, False, ""
        self._refresh()
        session.record({EVENT: "opened"})
        training = session.model.training
        print(session.commands.run(session, "status", "console"))
        try:
            self._prompt()
        except (SystemExit, KeyboardInterrupt):
            pass
        finally:
            sys.stdout.flush()
        if session.model.training != training:
            print(f"note: the model is in {'training' if not training else 'evaluation'} mode now")
        return self._last or _AFTER[session.outside.state].format(session.step)

    def _prompt(self) -> None:
        """IPython's prompt where there is one, and else Python's."""
        print("Python, and commands: help lists them, q lets the training go on.")
        if importlib.util.find_spec("IPython") is not None:
            try:
                from voxflow.training.ipython import prompt

                prompt(self, self._namespace)
                return
            except Exception as error:
                logger.warning("IPython failed, Python's own prompt follows", exc_info=error)
        if not self.left:
            _plain_prompt(self, self._namespace)

    def _refresh(self) -> None:
        """Let what is in scope be what the session has now; own variables stay."""
        session = self._session
        now: dict[str, Any] = {
            "session": session,
            "model": session.model,
            "optimizer": session.optimizer,
            "loss": session.loss,
            "pipeline": session.pipeline,
            "batch": session.batch,
            "metrics": session.metrics,
            "np": np,
            "torch": torch,
            **session.scope,
        }
        # Those two have to stay what Python has.
        taken = {*now, "set", "help"}
        names = {c.name: c.name for c in session.commands if c.name not in taken} | _SHORT
        self._functions = set(names)
        now |= {name: self._function(of) for name, of in names.items()}
        for name, value in now.items():
            # One that somebody gave to something else is theirs.
            if self._namespace.get(name) is self._put.get(name):
                self._namespace[name] = self._put[name] = value
        self._namespace |= {_DO: self._do, "__name__": "voxflow_console", "__doc__": None}

    def _function(self, name: str) -> Callable[..., None]:
        def function(*given: Any, **options: Any) -> None:
            commands = self._session.commands
            text = commands.call(self._session, name, *given, source="console", **options)
            self._done(name, text)

        function.__name__ = function.__qualname__ = name
        function.__doc__ = self._session.commands[name].help
        return function

    # -- lines ------------------------------------------------------------------------------------

    def translated(self, line: str) -> str:
        """A line as Python: that of a command becomes a call."""
        found = re.match(r"\s*([A-Za-z_]\w*)(?:\s+(.*?))?\s*$", line)
        if found is None or "\n" in line.strip():
            return line
        word, rest = found[1], found[2] or ""
        of = _SHORT.get(word, word)
        if _PYTHON.match(rest):
            return line
        if of not in self._session.commands:
            return self._call(line.strip()) if rest and _is_nothing(line) else line
        if self._namespace.get(word) is not self._put.get(word):
            return line  # somebody gave the name to something else
        if not rest and word in self._put and word not in self._functions:
            return line  # a part of the session, to be shown
        return self._call(f"{of} {rest}".strip())

    def _call(self, line: str) -> str:
        return f"{_DO}({line!r})"

    def _do(self, line: str) -> None:
        """Do a command; what is wrong with it is told in a line."""
        commands, session = self._session.commands, self._session
        try:
            try:
                text = commands.run(session, line, "console")
            except NeedsYes as error:
                if input(f"{error}\nreally? [y/N] ").strip().lower() not in ("y", "yes"):
                    return
                text = commands.run(session, f"{line} yes", "console")
        except EOFError:
            return
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            return
        self._done(line.partition(" ")[0], text)

    def _done(self, name: str, text: str) -> None:
        if name in LEAVE:
            self.left, self._last = True, text
        elif text:
            print(text)

    def typed(self, source: str) -> None:
        """Log what was typed, where it was no command."""
        source = source.strip()
        if source and not source.startswith(_DO):
            self._session.record({EVENT: source})

    def names(self) -> Sequence[str]:
        """The names of commands."""
        return [command.name for command in self._session.commands]


def _is_nothing(line: str) -> bool:
    """Whether a line is no Python, nor the begin of any: a command with a slip of the finger."""
    try:
        codeop.compile_command(line)
    except (SyntaxError, ValueError, OverflowError):
        return True
    return False


class _Plain(code.InteractiveConsole):
    """Python's own prompt."""

    def __init__(self, console: Console, namespace: dict[str, Any]) -> None:
        super().__init__(namespace, filename="<console>")
        self._console = console

    def raw_input(self, prompt: str = "") -> str:
        """The next line, until somebody has let the training go on."""
        if self._console.left:
            raise EOFError
        return input(prompt)

    def write(self, data: str) -> None:
        """Show something, but for the line that ends the input where nobody ended it."""
        if not (self._console.left and data == "\n"):
            super().write(data)

    def runsource(self, source: str, *args: Any, **options: Any) -> bool:
        """Run what was typed, once it is complete."""
        python = self._console.translated(source)
        more = super().runsource(python, *args, **options)
        if not more and python == source:
            self._console.typed(source)
        return more


def _plain_prompt(console: Console, namespace: dict[str, Any]) -> None:
    with _prompts(), _completion(namespace, console.names()):
        _Plain(console, namespace).interact(banner="", exitmsg="")


@contextlib.contextmanager
def _prompts() -> Iterator[None]:
    before = {name: getattr(sys, name, None) for name in ("ps1", "ps2")}
    sys.ps1, sys.ps2 = _PROMPT, "... ".rjust(len(_PROMPT))
    try:
        yield
    finally:
        # Whether there are prompts tells libraries whether somebody is there.
        for name, value in before.items():
            if value is not None:
                setattr(sys, name, value)
            elif hasattr(sys, name):
                delattr(sys, name)


@contextlib.contextmanager
def _completion(namespace: dict[str, Any], names: Sequence[str]) -> Iterator[None]:
    """Let the tabulator complete names, where the terminal's lines can be edited."""
    try:
        import readline
        import rlcompleter
    except ImportError:
        yield
        return
    before = readline.get_completer()
    readline.set_completer(rlcompleter.Completer({**dict.fromkeys(names), **namespace}).complete)
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(before)
