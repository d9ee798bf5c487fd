"""Set what a dotted target stands for."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any


def set_target(session: Any, target: str, value: Any) -> None:
    """Set ``optimizer.NAME`` of all groups, or an attribute of the model or the loss.

    Raises
    ------
    ValueError
        If there is no such thing.
    """
    first, *path = target.split(".")
    owner = getattr(session, first) if first in ("model", "loss", "optimizer") and path else None
    for name in path[:-1]:
        owner = getattr(owner, name, None)
    known: list[str] = [] if owner is None else [n for n in vars(owner) if not n.startswith("_")]
    if owner is session.optimizer:
        known = list(owner.param_groups[0])
        if path[-1] in known:
            for group in owner.param_groups:
                group[path[-1]] = value
            return
    elif owner is not None and hasattr(owner, path[-1]):
        setattr(owner, path[-1], value)
        return
    near = get_close_matches(target.rpartition(".")[2], known, 3) or known[:8]
    there = f"; there is, for example: {', '.join(near)}" if near else ""
    raise ValueError(f"there is no {target!r} to set{there}")
