"""A process that does work when it is asked, in the environment of a library."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from .environments import QUIET, python_of

PROGRAMS = Path(__file__).parents[1] / "programs"


class Side:
    """One side of a comparison. While it is not asked, it and its workers stand still.

    Parameters
    ----------
    library
        whose environment it runs in.
    program
        the name of a file in ``benchmarks/programs``.
    environment
        variables, besides those that make libraries quiet.
    home
        the environment of the library, if it is not the one of its name.
    **options
        what the program is started with.
    """

    def __init__(
        self,
        library: str,
        program: str,
        environment: dict[str, str] | None = None,
        *,
        home: str | None = None,
        **options: Any,
    ) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [python_of(home or library), "-W", "ignore", PROGRAMS / f"{program}.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("VOXFLOW_BENCH_VERBOSE") else subprocess.DEVNULL,
            env={**os.environ, **QUIET, **(environment or {})},
            text=True,
            start_new_session=True,  # a group of its own, with whatever it starts
        )
        self._say({"library": library, "options": options})
        self.versions = self._hear()["versions"]
        self._signal(signal.SIGSTOP)

    def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """Have something done; gives wall and processor seconds, and what it returned."""
        self.ask(name, **arguments)
        return self.answer()

    def ask(self, name: str, /, **arguments: Any) -> None:
        """Have something begun; several sides may work at once."""
        self._signal(signal.SIGCONT)
        self._say({"call": name, "arguments": arguments})

    def answer(self) -> dict[str, Any]:
        """Wait until it is done."""
        answer = self._hear()
        self._signal(signal.SIGSTOP)
        return answer

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _say(self, message: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the side has no input")
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the side has no output")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the {self.library} side ended with {self._process.wait()}; run with "
                "VOXFLOW_BENCH_VERBOSE=1 to see why"
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"the {self.library} side failed:\n{answer['error']}")
        return answer

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGCONT)
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
