"""An exception's way from a worker to the consumer."""

from __future__ import annotations

import pickle
import traceback
from typing import Any, NamedTuple, NoReturn

from .errors import WorkerFailed
from .packing import pack_task


class Remote(NamedTuple):
    """An exception as plain values; ``pickled`` only if it survives a round trip."""

    type_name: str
    message: str
    notes: tuple[str, ...]
    trace: str
    pickled: bytes | None


def capture(error: BaseException) -> Remote:
    """Describe an exception in the worker.

    Examples
    --------
    >>> capture(ValueError("no")).type_name
    'builtins.ValueError'
    """
    cls = type(error)
    try:
        message = str(error)
    except Exception:
        message = "<its text could not be made>"
    return Remote(
        f"{cls.__module__}.{cls.__qualname__}",
        message,
        tuple(str(note) for note in getattr(error, "__notes__", ())),
        "".join(traceback.format_exception(error)),
        _round_trip(error),
    )


def rethrow(remote: Remote, where: str) -> NoReturn:
    """Raise the remote exception in the parent, as its own type if that can be rebuilt."""
    cause = WorkerFailed(f"{where}: {remote.type_name}: {remote.message}")
    cause.type_name = remote.type_name
    cause.remote_message = remote.message
    cause.remote_notes = remote.notes
    cause.remote_traceback = remote.trace
    original = _rebuild(remote.pickled)
    if original is None:
        for note in remote.notes:
            cause.add_note(note)
        cause.add_note(f"Remote traceback:\n{remote.trace}")
        raise cause
    have = getattr(original, "__notes__", ())
    for note in remote.notes:
        if note not in have:
            original.add_note(note)
    original.add_note(f"{where}. Remote traceback:\n{remote.trace}")
    raise original from cause


def _round_trip(error: BaseException) -> bytes | None:
    """Pickle an exception if what comes back is the same kind with the same text."""
    # SystemExit and KeyboardInterrupt would end the parent: those go as text.
    if not isinstance(error, Exception):
        return None
    try:
        data, _ = pack_task(error)
        if data is None:
            return None
        again: Any = pickle.loads(data)
        return data if type(again) is type(error) and str(again) == str(error) else None
    except Exception:  # an exception's constructor may do anything
        return None


def _rebuild(pickled: bytes | None) -> Exception | None:
    if pickled is None:
        return None
    try:
        error = pickle.loads(pickled)
    except Exception:
        return None
    return error if isinstance(error, Exception) else None
