"""The log of a training: one file to which lines are added, and nothing else is done."""

from __future__ import annotations

import json
import os
import threading
from math import isfinite
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from voxflow.stores.file_lock import lock_file
from voxflow.training.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

FILE_NAME = "events.jsonl"
"""What the log is called in the directory of a run."""

RESUMED = "resumed"
"""The name of the event that says from where a run went on; its step is the last that counts."""

_BEFORE = -1  # the step of which nothing is before

_LINES = 10_000  # that are decoded at once


class Event(NamedTuple):
    """Something that happened.

    Attributes
    ----------
    step
        How many steps were done.
    active
        Active seconds of the training.
    time
        Seconds since 1970.
    name
        What it is, such as "loss".
    value
        A number, a text, or whatever else JSON has.
    """

    step: int
    active: float
    time: float
    name: str
    value: Any


class EventLog:
    """Adds events to a file, one line of JSON each.

    What `record` was given is with the system when it returns, so that it is there after the
    process is killed; after `sync` it is there after a loss of power, too. Nothing in the file is
    ever changed. If a write fails, for instance because the disk is full, its events are kept and
    written with the next one, without a gap. Threads may share a log.

    Parameters
    ----------
    path
        The file, or the directory of the run, in which it is ``events.jsonl``.
    clock
        Says when it is.

    Raises
    ------
    RuntimeError
        If another log writes to the file.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with EventLog(folder) as log:
    ...     log.record(1, {"loss": 0.7, "lr": 0.1})
    ...     log.record(2, {"loss": 0.6})
    ...     log.resumed(1)
    ...     log.record(2, {"loss": 0.5})
    >>> [(event.step, event.value) for event in read_events(folder, ["loss"])]
    [(1, 0.7), (2, 0.5)]
    """

    def __init__(self, path: str | Path, clock: Clock | None = None) -> None:
        self.path = log_file(path)
        self._clock = Clock() if clock is None else clock
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            self._claim()
            self._is_new = os.fstat(self._file).st_size == 0
            # A line that was cut off when its process was killed gets an end of its own.
            self._unwritten = b"" if self._ends_with_a_line() else b"\n"
        except BaseException:
            os.close(self._file)
            raise

    def record(self, step: int, values: Mapping[str, Any]) -> None:
        """Add an event for each value.

        What belongs to a step is to be recorded before its checkpoint is written: a run that is
        resumed from there does not do the step again.

        Parameters
        ----------
        step
            How many steps were done.
        values
            By name: numbers, also of numpy or torch, texts, or whatever else JSON has.

        Raises
        ------
        ValueError
            If a name is empty or ``"resumed"``, or the step is negative.
        TypeError
            If a value cannot be written as JSON.
        OSError
            If the file cannot be written. The events are kept for the next write.
        """
        if step < 0:
            raise ValueError(f"a step cannot be negative, got {step}")
        for name in values:
            if not name or name == RESUMED:
                raise ValueError(
                    f'an event cannot have the name {name!r}; take another than "" and {RESUMED!r}'
                )
        self._add(step, values)

    def resumed(self, step: int) -> None:
        """Say that the run goes on after a step: readers leave out what is of later steps so far.

        Parameters
        ----------
        step
            How many steps were done where the run goes on: those of its checkpoint.
        """
        if step < 0:
            raise ValueError(f"a step cannot be negative, got {step}")
        self._add(step, {RESUMED: step})

    def begun(self) -> None:
        """Say that the run begins: readers leave out all that is there so far.

        For a run whose earlier part ended before its first checkpoint, so that nothing goes on.
        """
        if not self._is_new:
            self._add(_BEFORE, {RESUMED: _BEFORE})

    def sync(self) -> None:
        """Return when the disk has all events. To be called before a checkpoint is written."""
        with self._lock:
            self._write()
            os.fsync(self._file)

    def close(self) -> None:
        """Write what could not be written before, and close the file."""
        with self._lock:
            if self._file < 0:
                return
            try:
                self._write()
            finally:
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _add(self, step: int, values: Mapping[str, Any]) -> None:
        active, time = self._clock.active_seconds, self._clock.now()
        begin = f'{{"step":{step},"active":{active:.6f},"time":{time:.6f},"name":'
        lines = "".join(
            f'{begin}{_encode(name)},"value":{_text(value)}}}\n' for name, value in values.items()
        ).encode()
        with self._lock:
            if self._file < 0:
                raise ValueError(f"{self.path} is closed; open another EventLog to add to it")
            self._unwritten += lines
            self._write()

    def _write(self) -> None:
        while self._unwritten:
            self._unwritten = self._unwritten[os.write(self._file, self._unwritten) :]

    def _claim(self) -> None:
        if not lock_file(self._file):
            raise RuntimeError(
                f"another training writes to {self.path}; stop it, or take another directory"
            )

    def _ends_with_a_line(self) -> bool:
        size = os.fstat(self._file).st_size
        return size == 0 or os.pread(self._file, 1, size - 1) == b"\n"


def read_events(
    path: str | Path, names: Collection[str] | None = None, *, overtaken: bool = False
) -> list[Event]:
    """The events of a run, in the order in which they were recorded.

    A run that was resumed from a checkpoint has one history: what an earlier part did after that
    checkpoint is left out. A line that was cut off is left out, wherever it is.

    Parameters
    ----------
    path
        The file, or the directory of the run. Another process may be writing to it.
    names
        Which events; None: all.
    overtaken
        Also those that a resume has overtaken.

    Raises
    ------
    FileNotFoundError
        If there is no log.
    """
    file = log_file(path)
    try:
        lines = file.read_bytes().split(b"\n")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{file} is not there; is {path} the directory of a run?"
        ) from error
    wanted = None if names is None else {*names, RESUMED}
    events = [
        event
        for first in range(0, len(lines), _LINES)
        for event in _decoded(lines[first : first + _LINES])
        if wanted is None or event.name in wanted
    ]
    if not overtaken:
        events = _history(events)
    return events if names is None else [event for event in events if event.name in names]


def log_file(path: str | Path) -> Path:
    """The log in the directory of a run; or the file, if that is what was given."""
    path = Path(path)
    return path / FILE_NAME if path.is_dir() else path


def _history(events: list[Event]) -> list[Event]:
    if RESUMED not in map(itemgetter(Event._fields.index("name")), events):
        return events
    kept, last = [], float("inf")
    for event in reversed(events):
        if event.step > last:
            continue
        if event.name == RESUMED:
            last = event.step
        kept.append(event)
    return kept[::-1]


def _decoded(lines: list[bytes]) -> Iterator[Event]:
    whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    try:
        # Many at once is three times as fast as one by one.
        found = json.loads(b"[" + b",".join(whole) + b"]")
    except ValueError:
        found = [_or_none(line) for line in whole]
    try:
        rows = list(map(_values, found))
    except (KeyError, TypeError):
        rows = [_values(fields) for fields in found if fields and fields.keys() >= _FIELDS]
    return map(Event._make, rows)


def _or_none(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:  # cut off, or written over by something else
        return None


def _plain(value: Any) -> Any:
    """What JSON has for a number or an array of numpy or torch."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"an event cannot have a {type(value).__name__} for a value; take a number, a text, or a "
        "list or a dictionary of them"
    )


def _text(value: Any) -> str:
    # Most are such numbers, for which the encoder takes its time.
    return repr(value) if type(value) is float and isfinite(value) else _encode(value)


_FIELDS = frozenset(Event._fields)
_values = itemgetter(*Event._fields)
_encode = json.JSONEncoder(default=_plain, separators=(",", ":")).encode
