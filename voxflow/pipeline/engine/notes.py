"""What each node adds to an error that passes it: who it is, and what it was asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from voxflow.pipeline.geometry import describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.pipeline.data import BatchRequest, ProviderSpec

_ASKED = ", asked for"
_INDENT = "\n    "
_AS_ABOVE = "as above"


def note_visit(
    error: BaseException, who: str, request: BatchRequest, offered: ProviderSpec | None
) -> None:
    """Note on an error that it passed a node.

    A node that was asked for the same as the one before only adds its name, and a key of which the
    same region was asked is said to be as above::

        in Hdf5Source -> Normalize, asked for
            RAW [0:80, 0:8] (80, 8) in world units = [0:2, 0:2] (2, 2) in voxels of (40, 4)
        in AddAffinities, asked for
            RAW as above
            AFFINITIES [0:40, 0:4] (40, 4) in world units = ...

    Parameters
    ----------
    error
        The error on its way downstream.
    who
        The node.
    request
        What the node was asked for.
    offered
        What it provides, as far as known.
    """
    notes: list[str] = getattr(error, "__notes__", [])
    asked = list(_lines(request, offered))
    if notes and _full(notes) == asked:
        head, rest = notes[-1].split(_ASKED, 1)
        notes[-1] = f"{head} -> {who}{_ASKED}{rest}"
        return
    known = _last_said(notes)
    lines = [f"{k} {_AS_ABOVE if known.get(k) == text else text}" for k, text in asked]
    add_note(error, f"in {who}{_ASKED}{_INDENT}{_INDENT.join(lines) or 'nothing'}")


def add_note(error: BaseException, text: str) -> None:
    """Add a note, if the exception lets itself be changed (a frozen dataclass does not)."""
    with suppress(Exception):
        error.add_note(text)


def raised_in(error: BaseException) -> str | None:
    """The node in which an error was raised, as far as `note_visit` noted it."""
    heads = [note.partition(_ASKED)[0] for note in getattr(error, "__notes__", []) if _said(note)]
    return heads[0].removeprefix("in ").split(" -> ")[0] if heads else None


def describe_request(request: BatchRequest, offered: ProviderSpec | None = None) -> str:
    """What was asked, key by key, in world units and voxels."""
    return "; ".join(f"{key} {text}" for key, text in _lines(request, offered)) or "nothing"


def _lines(request: BatchRequest, offered: ProviderSpec | None) -> Iterator[tuple[str, str]]:
    for key, asked in request.items():
        known: Any = offered[key] if offered is not None and key in offered else asked
        voxel_size = getattr(asked, "voxel_size", None) or getattr(known, "voxel_size", None)
        where = "no region" if asked.roi is None else describe(asked.roi, voxel_size)
        yield str(key), f"{where} (placeholder)" if asked.placeholder else where


def _full(notes: list[str]) -> list[tuple[str, str]] | None:
    """What the last note says was asked, with what stands above written out; None if nothing."""
    said = _said(notes[-1])
    if said is None:
        return None
    known = _last_said(notes[:-1])
    return [(key, known.get(key, text) if text == _AS_ABOVE else text) for key, text in said]


def _last_said(notes: list[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for note in notes:
        known.update((k, text) for k, text in _said(note) or () if text != _AS_ABOVE)
    return known


def _said(note: str) -> list[tuple[str, str]] | None:
    head, found, rest = note.partition(_ASKED + _INDENT)
    if not found or not head.startswith("in ") or "\n" in head:
        return None
    lines = [line.partition(" ") for line in rest.split(_INDENT)]
    return [(key, text) for key, _, text in lines if text]
