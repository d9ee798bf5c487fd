"""Commands that get and set what can be changed while a network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxflow.training.commands.registry import CommandError
from voxflow.training.switching import Switched, switch

if TYPE_CHECKING:
    from voxflow.training.commands.words import Value
    from voxflow.training.session import Session


def get(session: Session, target: str = "") -> str:
    """Tell the value of a target, such as optimizer.lr; of all whose names begin so."""
    every = session.targets.describe()
    parts = {path: v for path, v in every.items() if not target or path.startswith(f"{target}.")}
    found = parts or {target: session.get(target)}
    width = max(map(len, found), default=0)
    return "\n".join(f"{path:<{width}}  {value}" for path, value in found.items())


def put(session: Session, target: str, value: Value) -> str:
    """Set a target, such as set optimizer.lr 0.001; get lists them all."""
    return _set(session, target, value)


def setlr(session: Session, rate: float) -> str:
    """Set the learning rate."""
    return _set(session, "optimizer.lr", rate)


def setmom(session: Session, momentum: float) -> str:
    """Set the momentum; of Adam the first beta."""
    return _set(session, "optimizer.momentum", momentum)


def setwd(session: Session, decay: float) -> str:
    """Set the weight decay."""
    return _set(session, "optimizer.weight_decay", decay)


def sethist(session: Session, steps: int) -> str:
    """Set after how many steps a validation is made."""
    if session.validation is None:
        raise CommandError("this training has no validation")
    return _set(session, "validation.steps", steps)


def optimizer(session: Session, name: str, **options: Value) -> str:
    """Go on with another optimizer, such as optimizer SGD momentum=0.9; the weights stay.

    Learning rate and weight decay stay as well, unless they are given, or the new one searches
    along lines.
    """
    before = type(session.optimizer).__name__
    switch(session, Switched(name, options))
    return f"{before} -> {type(session.optimizer).__name__}, {_told(session)}"


def _told(session: Session) -> str:
    group: dict[str, Any] = session.optimizer.param_groups[0]
    shown = {n: v for n, v in group.items() if n != "params" and isinstance(v, int | float)}
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value)


def _set(session: Session, target: str, value: Any) -> str:
    before = session.get(target)
    session.set(target, value)
    return f"{target}: {before} -> {session.get(target)}"
