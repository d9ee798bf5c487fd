"""Tasks are started where there is a place for them, until all are done."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from voxflow.training.launching.states import Outcome, States

if TYPE_CHECKING:
    from voxflow.training.launching.tasks import Place, Task, TaskList

__all__ = ["launch"]

logger = logging.getLogger(__name__)

# From asking a program to end until it is made to: a training writes a checkpoint meanwhile.
_PATIENCE = 60.0

# Of ssh itself, where the machine is not reached; None: it could not be started.
_NOT_REACHED = (255, None)


def launch(tasks: TaskList) -> list[Outcome]:
    """Run tasks, as many at a time as there are places.

    A task that is done is not run again; a training that was begun goes on from its last
    checkpoint. Several launchers may share a list: each task is started by one of them.

    A place whose machine is not reached gets no more tasks, and the one that it had is for others;
    without any it is "waiting" in the end.

    Ctrl-C ends what runs, and nothing more is started.

    Parameters
    ----------
    tasks
        What `load_tasks` gave.

    Returns
    -------
    list[Outcome]
        What became of each task, in their order.

    Raises
    ------
    ValueError
        If a task is done that was another one.
    """
    tasks.folder.mkdir(parents=True, exist_ok=True)
    launcher = _Launcher(tasks)
    with ThreadPoolExecutor(len(tasks.places)) as pool:
        try:
            working = [pool.submit(launcher.work, place) for place in tasks.places]
            for worker in working:
                worker.result()
        except KeyboardInterrupt:
            logger.warning("interrupted: what runs is asked to end")
            launcher.stop()
        except BaseException:
            launcher.stop()
            raise
    return [launcher.outcomes.get(task.name, Outcome(task.name, "waiting")) for task in tasks.tasks]


class _Launcher:
    """Hands tasks out to threads, of which each has a place."""

    def __init__(self, tasks: TaskList) -> None:
        self._home = tasks.home
        self._states = States(tasks.folder)
        self._lock = threading.Condition()  # told when a task ends, or is given back
        self._stopped = False
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._handed_out: list[Task] = []
        self.outcomes: dict[str, Outcome] = {}
        # Another launcher may end a task, and is not to be done after.
        self._before = {task.name: self._states.read(task) for task in tasks.tasks}
        self._left = [task for task in tasks.tasks if not self._is_done(task)]

    def _is_done(self, task: Task) -> bool:
        before = self._before[task.name]
        if before is None or before["state"] != "done":
            return False
        self.outcomes[task.name] = _outcome(task, before)
        return True

    def work(self, place: Place) -> None:
        """Run tasks in a place, until there is none left for it, or it is not reached."""
        while (taken := self._taken(place)) is not None:
            task, held = taken
            outcome = None
            try:
                outcome = self._run(task, place, held)
            finally:
                # Before it is given back: whoever takes it is to hold it.
                os.close(held)
                self._back(task, outcome)
            if outcome is None:
                log = self._states.log(task)
                logger.warning("%s is not reached, and gets no more tasks: %s", place.name, log)
                return
            logger.info("%s %s", task.name, _said(outcome))

    def _taken(self, place: Place) -> tuple[Task, int] | None:
        with self._lock:
            while not self._stopped:
                found = self._next(place)
                if found is not None:
                    return found
                # What another place has may be given back.
                if not any(_fits(task, place) for task in self._handed_out):
                    return None
                self._lock.wait()
            return None

    def _next(self, place: Place) -> tuple[Task, int] | None:
        for task in [task for task in self._left if _fits(task, place)]:
            self._left.remove(task)
            held = self._states.hold(task)
            if held is None:
                self.outcomes[task.name] = Outcome(task.name, "elsewhere")
                continue
            now = self._states.read(task)
            if now == self._before[task.name]:
                self._handed_out.append(task)
                return task, held
            os.close(held)
            self.outcomes[task.name] = _outcome(task, now or {})
        return None

    def _back(self, task: Task, outcome: Outcome | None) -> None:
        with self._lock:
            self._handed_out.remove(task)
            if outcome is None:
                self._left.insert(0, task)
            else:
                self.outcomes[task.name] = outcome
            self._lock.notify_all()

    def _run(self, task: Task, place: Place, held: int) -> Outcome | None:
        """How a task has ended; None if the place was not reached."""
        command, log = place.command(task.command, self._home), self._states.log(task)
        logger.info("%s begins (%s): %s", task.name, place.name, log)
        began = time.monotonic()
        with open(log, "ab") as said:
            said.write(f"$ {shlex.join(command)}\n".encode())
            said.flush()
            try:
                code = self._ended(task, place, command, said, held)
            except OSError as error:
                said.write(f"cannot be started: {error}\n".encode())
                code = None
        if place.host is not None and code in _NOT_REACHED and not self._stopped:
            return None
        state = "interrupted" if self._stopped else "done" if code == 0 else "failed"
        seconds = round(time.monotonic() - began, 1)
        outcome = Outcome(task.name, state, place.name, code, seconds)  # type: ignore[arg-type]
        self._states.write(task, outcome)
        return outcome

    def _ended(self, task: Task, place: Place, command: list[str], said: Any, held: int) -> int:
        process = subprocess.Popen(
            command,
            cwd=self._home,
            # What is typed into ssh goes to the terminal of what runs elsewhere.
            stdin=subprocess.DEVNULL if place.host is None else subprocess.PIPE,
            bufsize=0,
            stdout=said,
            stderr=subprocess.STDOUT,
            # Ctrl-C is passed on when it is due.
            start_new_session=True,
            # If this process is killed, what it started still holds the task.
            pass_fds=(held,),
        )
        with process:
            with self._lock:
                self._running[task.name] = process
                if self._stopped:
                    _interrupt(process)
            code = process.wait()
            with self._lock:
                del self._running[task.name]
        return code

    def stop(self) -> None:
        """Start nothing more, and end what runs."""
        with self._lock:
            self._stopped = True
            running = list(self._running.values())
            self._lock.notify_all()
            for process in running:
                _interrupt(process)
        end = time.monotonic() + _PATIENCE
        for process in running:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)


def _fits(task: Task, place: Place) -> bool:
    return task.places is None or place.name in task.places


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is None:
        _signal(process, signal.SIGINT)
        return
    # A signal would end ssh, and with it at once what runs elsewhere.
    with contextlib.suppress(OSError):  # it has just ended
        process.stdin.write(b"\x03")


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        # To all that it started; it leads a group of its own.
        os.killpg(process.pid, number)


def _outcome(task: Task, found: dict[str, Any]) -> Outcome:
    """What somebody has written down of a task."""
    return Outcome(
        task.name,
        found.get("state", "waiting"),
        found.get("place", ""),
        found.get("code"),
        found.get("seconds"),
        earlier=True,
    )


def _said(outcome: Outcome) -> str:
    code = f" with {outcome.code}" if outcome.state == "failed" and outcome.code is not None else ""
    return f"is {outcome.state}{code} after {outcome.seconds:.0f} s"
