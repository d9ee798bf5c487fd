"""IPython's prompt, between two steps of a training."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.terminal.ipapp import load_default_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.training.console import Console


class _Shell(TerminalInteractiveShell):
    """A shell that leaves the program that it runs in as it is."""

    def init_sys_modules(self) -> None:
        """Let ``__main__`` be the script: workers that start anew load it."""


def prompt(console: Console, namespace: dict[str, Any]) -> None:
    """Prompt until the console is left.

    Parameters
    ----------
    console
        Whose lines they are.
    namespace
        What is in scope, and is afterwards.
    """
    with _alone():
        # A shell whose prompt has ended has closed its history, and emptied what was in scope.
        shell: Any = _Shell.instance(
            config=load_default_config(), user_ns=dict(namespace), banner1="", banner2=""
        )
        shell.confirm_exit = False
        shell.input_transformers_cleanup.insert(0, lambda lines: _translated(console, lines))
        shell.events.register("post_run_cell", lambda result: _after(console, shell, result))
        shell.events.register("post_run_cell", lambda result: _keep(namespace, shell))
        shell.mainloop()


def _translated(console: Console, lines: list[str]) -> list[str]:
    return [console.translated(lines[0]) + "\n"] if len(lines) == 1 else lines


def _after(console: Console, shell: Any, result: Any) -> None:
    source = result.info.raw_cell or ""
    if console.translated(source) == source:
        console.typed(source)
    if console.left:
        shell.ask_exit()


def _keep(namespace: dict[str, Any], shell: Any) -> None:
    """Let variables be there the next time."""
    own = {
        name: value
        for name, value in shell.user_ns.items()
        if name not in shell.user_ns_hidden and not name.startswith("_")
    }
    namespace.clear()
    namespace.update(own)


@contextmanager
def _alone() -> Iterator[None]:
    """Let a new shell be the one that ``get_ipython`` gives, for the time of a block.

    Its keys need that; but the script may run within another one.
    """
    before: Any = InteractiveShell._instance
    if before is not None:
        type(before).clear_instance()
    try:
        yield
    finally:
        _Shell.clear_instance()
        if before is not None:
            for kind in type(before)._walk_mro():
                kind._instance = before
