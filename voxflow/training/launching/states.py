"""What became of tasks, in files that several launchers share."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from voxflow.stores.file_lock import lock_file

if TYPE_CHECKING:
    from pathlib import Path

    from voxflow.training.launching.tasks import Task

__all__ = ["Outcome", "States"]

State = Literal["done", "failed", "interrupted", "elsewhere", "waiting"]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    task
        Its name.
    state
        "done", "failed", "interrupted", "elsewhere": another launcher runs it, or "waiting":
        no place for it is left, or somebody has interrupted.
    place
        Where it was run.
    code
        The exit status.
    seconds
        How long it took.
    earlier
        Whether that was before this start.
    """

    task: str
    state: State
    place: str = ""
    code: int | None = None
    seconds: float | None = None
    earlier: bool = False


class States:
    """What became of tasks.

    ::

        NAME.json   how the task ended last
        NAME.lock   held while it runs, by the launcher and by what it started
        NAME.log    what it said

    Parameters
    ----------
    folder
        Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, task: Task) -> dict[str, Any] | None:
        """How a task ended last; None if it never did.

        Raises
        ------
        ValueError
            If it is done, and was another one.
        """
        file = self._file(task, "json")
        if not file.exists():
            return None
        found: dict[str, Any] = json.loads(file.read_text())
        if found["state"] == "done" and found["what"] != list(task.what):
            raise ValueError(
                f"the task {task.name} is done, and was {' '.join(found['what'])}, not "
                f"{' '.join(task.what)}. Give what is new another name, or remove {file}"
            )
        return found

    def write(self, task: Task, outcome: Outcome) -> None:
        """Write down how a task ended."""
        values = {
            "what": task.what,
            "state": outcome.state,
            "place": outcome.place,
            "code": outcome.code,
            "seconds": outcome.seconds,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }
        file = self._file(task, "json")
        part = file.with_name(f".{file.name}.part")
        part.write_text(json.dumps(values, indent=2) + "\n")
        part.replace(file)

    def hold(self, task: Task) -> int | None:
        """A descriptor that holds a task until all that have it close it; None if others do."""
        descriptor = os.open(self._file(task, "lock"), os.O_RDWR | os.O_CREAT, 0o666)
        if lock_file(descriptor):
            return descriptor
        os.close(descriptor)
        return None

    def log(self, task: Task) -> Path:
        """Where what a task says is written."""
        return self._file(task, "log")

    def _file(self, task: Task, suffix: str) -> Path:
        return self.folder / f"{task.name}.{suffix}"
