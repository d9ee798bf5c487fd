"""IPython's prompt, between two steps of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.terminal.interactiveshell import TerminalInteractiveShell
from IPython.terminal.ipapp import load_default_config

if TYPE_CHECKING:
    from voxflow.training.console import Console


class _Shell(TerminalInteractiveShell):
    """A shell that leaves the program that it runs in as it is."""

    def init_sys_modules(self) -> None:
        """Let ``__main__`` be the script: workers that start anew load it."""


def prompt(console: Console, namespace: dict[str, Any], banner: str, shell: Any = None) -> Any:
    """Prompt until the console is left.

    Parameters
    ----------
    console
        Whose lines they are.
    namespace
        What is in scope.
    banner
        What is shown first.
    shell
        What an earlier prompt returned: its history goes on.

    Returns
    -------
    IPython.InteractiveShell
        The shell.
    """
    if shell is None:
        shell = _Shell(config=load_default_config(), user_ns=namespace, banner1="", banner2="")
        shell.confirm_exit = False
        shell.input_transformers_cleanup.insert(0, lambda lines: _translated(console, lines))
        shell.events.register("post_run_cell", lambda result: _after(console, shell, result))
    print(banner)
    shell.keep_running = True
    shell.mainloop()
    return shell


def _translated(console: Console, lines: list[str]) -> list[str]:
    return [console.translated(lines[0]) + "\n"] if len(lines) == 1 else lines


def _after(console: Console, shell: Any, result: Any) -> None:
    source = result.info.raw_cell or ""
    if console.translated(source) == source:
        console.typed(source)
    if console.left:
        shell.ask_exit()
