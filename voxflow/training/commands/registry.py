"""Commands to a training, by name: one registry for the console and for what comes from outside."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxflow.training.commands.words import CommandError, arguments, bound, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxflow.training.session import Session

    Function = Callable[..., str | None]

__all__ = ["Command", "CommandError", "Commands", "NeedsYes"]

EVENT = "command"
"""The name of the event that says what was done."""


class NeedsYes(CommandError):
    """Something would be lost: the same command with ``yes`` does it."""


@dataclass(frozen=True)
class Command:
    """Something that can be said to a training.

    Attributes
    ----------
    name
        Its name.
    function
        What it does: called with the session and what follows the name. What it returns is shown.
    changes
        Whether it changes anything; it is logged then.
    alone
        Whether it would make processes differ that train together, and is refused there.
    """

    name: str
    function: Function
    changes: bool = False
    alone: bool = False

    @property
    def usage(self) -> str:
        """How it is written."""
        return usage(self.name, self.function)

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return self.help.partition("\n")[0]

    @property
    def help(self) -> str:
        """What it does."""
        return inspect.getdoc(self.function) or ""


class Commands:
    """Commands by name.

    Examples
    --------
    >>> def greet(session, name: str = "you"):
    ...     '''Say hello.'''
    ...     return f"hello {name}"
    >>> commands = Commands()
    >>> commands.add(greet)
    >>> commands.run(None, "greet Ada")
    'hello Ada'
    >>> print(commands.help())
    greet [NAME]  Say hello.
    help [NAME]   List the commands, or tell of one.
    """

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

        def help(session: Any, name: str = "") -> str:
            """List the commands, or tell of one."""
            return self.help(name)

        self.add(help)

    def add(
        self,
        function: Function,
        *,
        name: str | None = None,
        changes: bool = False,
        alone: bool = False,
    ) -> None:
        """Let a function be a command, in the place of one of the same name.

        Parameters
        ----------
        function
            Called with the session and the arguments. Those that are annotated as ``float`` or
            ``int`` are numbers; the first line of its docstring is its help.
        name
            Its name; None: that of the function.
        changes, alone
            See `Command`.

        Raises
        ------
        ValueError
            If the name is not a word.
        """
        name = function.__name__ if name is None else name
        if not name.isidentifier():
            raise ValueError(f"the name of a command is a word, got {name!r}")
        self._commands[name] = Command(name, function, changes, alone)

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __getitem__(self, name: str) -> Command:
        if name in self._commands:
            return self._commands[name]
        close = difflib.get_close_matches(name, self._commands, n=3, cutoff=0.6)
        guess = f"did you mean {' or '.join(close)}? " if close else ""
        raise CommandError(f"there is no command {name!r}; {guess}help lists them")

    def help(self, name: str = "") -> str:
        """All commands, a line for each; or how one is used.

        Raises
        ------
        CommandError
            If there is none of that name.
        """
        if name:
            return f"{self[name].usage}\n\n{self[name].help}"
        every = sorted(self, key=lambda command: command.name)
        width = max(len(command.usage) for command in every)
        return "\n".join(f"{command.usage:<{width}}  {command.summary}" for command in every)

    def run(self, session: Session | None, line: str, source: str = "script") -> str:
        """Do what a line says, between two steps.

        Parameters
        ----------
        session
            The training.
        line
            The name of a command, and its arguments.
        source
            Who said it, for the log.

        Returns
        -------
        str
            What is to be shown.

        Raises
        ------
        CommandError
            If there is no such command, or its arguments are wrong. What a command itself raises
            is passed on.
        """
        name, _, rest = line.strip().partition(" ")
        if not name:
            raise CommandError("say what to do; help lists the commands")
        command = self[name]
        given, options = arguments(name, command.function, rest)
        return self._done(command, session, given, options, line.strip(), source)

    def call(
        self,
        session: Session | None,
        name: str,
        *given: Any,
        source: str = "script",
        **options: Any,
    ) -> str:
        """As `run`, with arguments as Python has them."""
        command = self[name]
        words = [*map(_word, given), *(f"{k}={_word(v)}" for k, v in options.items())]
        found = bound(name, command.function, list(given), options)
        return self._done(command, session, *found, " ".join([name, *words]), source)

    def _done(
        self,
        command: Command,
        session: Session | None,
        given: list[Any],
        options: dict[str, Any],
        line: str,
        source: str,
    ) -> str:
        if command.alone and session is not None and session.ranks.count > 1:
            raise CommandError(
                f"{command.name} would let {session.ranks.count} processes that train together "
                "differ; end the run, and begin one with what you want"
            )
        said: dict[str, Any] = {"line": line, "from": source}
        try:
            text = command.function(session, *given, **options) or ""
        except NeedsYes:
            raise
        except Exception as error:
            # It may have done a part.
            said["error"] = f"{type(error).__name__}: {error}"
            self._log(command, session, said)
            raise
        self._log(command, session, said)
        return text

    def _log(self, command: Command, session: Session | None, said: dict[str, Any]) -> None:
        if command.changes and session is not None:
            session.record({EVENT: said})


def _word(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
