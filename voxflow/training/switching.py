"""Another optimizer in the midst of a training."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from voxflow.torch.conjugate import NonlinearCG

if TYPE_CHECKING:
    from voxflow.training.session import Session

_SHORT = {"cg": NonlinearCG, "nonlinearcg": NonlinearCG}
_STAYS = ("lr", "weight_decay")


@dataclass(frozen=True)
class Switched:
    """An optimizer that somebody chose: a name of `torch.optim` or NonlinearCG, and its options."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


def switch(session: Session, chosen: Switched) -> None:
    """Let a session go on with another optimizer, between two steps.

    The groups of parameters stay, with their learning rates and weight decays where the new one
    has such and they are not given. What a search along lines begins with is its own.

    Raises
    ------
    LookupError
        If there is no such optimizer.
    TypeError, ValueError
        If its options are wrong, or it does not go together with those of the step.
    """
    kind = _kind(chosen.name)
    takes = inspect.signature(kind).parameters
    wrong = [name for name in chosen.options if name not in takes]
    if wrong:
        known = ", ".join(name for name in takes if name != "params")
        raise TypeError(f"{kind.__name__} takes no {', '.join(wrong)}; it takes {known}")
    groups = session.optimizer.param_groups
    closure = inspect.signature(kind.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        given: list[Any] = [p for group in groups for p in group["params"]]
    else:
        stays = [name for name in _STAYS if name in takes and name not in chosen.options]
        given = [
            {"params": group["params"], **{n: _plain(group[n]) for n in stays if n in group}}
            for group in groups
        ]
    session.optimizer = kind(given, **chosen.options)
    session.switched = chosen


def _kind(name: str) -> Any:
    known = {
        n.lower(): kind
        for n, kind in vars(torch.optim).items()
        if inspect.isclass(kind)
        and issubclass(kind, torch.optim.Optimizer)
        and kind is not torch.optim.Optimizer
    }
    known |= _SHORT
    if name.lower() in known:
        return known[name.lower()]
    close = difflib.get_close_matches(name.lower(), known, n=3)
    names = sorted({kind.__name__ for kind in known.values()}, key=str.lower)
    guess = f"did you mean {' or '.join(known[n].__name__ for n in close)}? " if close else ""
    raise LookupError(f"there is no optimizer {name!r}; {guess}There are {', '.join(names)}")


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, torch.Tensor) else value
