"""Blocks that failed: what is told of them, and when it is enough."""

from __future__ import annotations

import re
import traceback
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.engine.errors import VoxflowError
from voxflow.pipeline.engine.notes import raised_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ScanFailed", "Streak", "failure", "table", "worth_retrying"]

_SHOWN = 8
_LONGEST = 4000


class ScanFailed(VoxflowError, RuntimeError):
    """Some blocks of a scan failed; all others are done.

    Attributes
    ----------
    failures
        For each block that failed: its ``block`` number, its ``regions`` (world units), the
        ``type`` and ``text`` of the error, the ``node`` that raised it (None: not known), whether
        it is ``worth_retrying``, and its ``traceback`` (where thousands failed, that of the later
        ones is in the record alone).
    """

    failures: list[dict[str, Any]]

    def __init__(self, message: str = "", failures: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


def failure(number: int, regions: Mapping[Any, Any], error: BaseException) -> dict[str, Any]:
    """What is kept of a block that failed, as JSON can hold it.

    Parameters
    ----------
    number
        Of the block.
    regions
        What it was asked for.
    error
        Why it failed.
    """
    trace = "".join(traceback.format_exception(error))
    return {
        "block": int(number),
        "regions": {str(key): str(roi) for key, roi in regions.items()},
        "type": type(error).__name__,
        "text": _text(error)[:_LONGEST],
        "node": raised_in(error),
        "worth_retrying": worth_retrying(error),
        "traceback": trace[-_LONGEST:],
    }


def worth_retrying(error: BaseException) -> bool:
    """Whether a block that failed so may succeed yet."""
    return bool(getattr(error, "worth_retrying", True))


def _text(error: BaseException) -> str:
    # That of a KeyError is its argument in quotes.
    plain = isinstance(error, KeyError) and error.args
    return str(error.args[0] if plain else error)


def signature(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What errors of one node have in common that differ in nothing but numbers."""
    return entry.get("node"), entry["type"], re.sub(r"\d+", "#", entry["text"])[:300]


def table(failures: Iterable[Mapping[str, Any]]) -> str:
    """The distinct errors, the most frequent first, with how many blocks and which.

    Examples
    --------
    >>> lost = {"type": "MissingChunk", "regions": {"RAW": "[0:8] (8)"}}
    >>> print(table([{"block": n, "text": f"chunk {n} is not stored", **lost} for n in (4, 7)]))
    blocks  error
    2       MissingChunk: chunk 4 is not stored
            in blocks 4, 7; the first asked for RAW: [0:8] (8)
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for entry in failures:
        groups[signature(entry)].append(entry)
    lines = ["blocks  error"]
    for entries in sorted(groups.values(), key=len, reverse=True):
        first = entries[0]
        numbers = sorted(entry["block"] for entry in entries)
        which = ", ".join(map(str, numbers[:_SHOWN])) + (", ..." if len(numbers) > _SHOWN else "")
        regions = ", ".join(f"{key}: {roi}" for key, roi in first["regions"].items())
        text = first["text"].replace("\n", "\n        ")
        lines.append(f"{len(entries):<6}  {first['type']}: {text}")
        node = first.get("node")
        by = f"by {node}, " if node and node not in first["text"] else ""
        lines.append(f"        {by}in blocks {which}; the first asked for {regions}")
    return "\n".join(lines)


class Streak:
    """Counts how often the same error came without a success in between.

    Parameters
    ----------
    budget
        How often is too often.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._last: tuple[Any, ...] | None = None
        self._length = 0

    def broken(self) -> None:
        """A block was done."""
        self._length = 0

    def add(self, entry: Mapping[str, Any]) -> bool:
        """A block failed: whether it is time to stop."""
        own = signature(entry)
        self._length = self._length + 1 if own == self._last else 1
        self._last = own
        return self._length >= self._budget
