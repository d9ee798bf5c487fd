"""What a node was made with, kept for its description."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any, Self, final

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN: Any = inspect.Parameter.empty
"""Stands for a value that is not known."""

_MANY = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


@final
class Arguments:
    """The arguments of a constructor, as they were given.

    They stay in the process in which the node was made, since they may hold what does not travel.

    Parameters
    ----------
    args, kwargs
        What the constructor was given; None: that is not known.
    """

    __slots__ = ("_args", "_kwargs")

    def __init__(
        self, args: tuple[Any, ...] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self._args = args
        self._kwargs = kwargs or {}

    def by_name(self, cls: type) -> dict[str, Any]:
        """All parameters of the constructor of a class; `UNKNOWN` where that is so."""
        signature = _signature(cls)
        parameters = signature.parameters.values()
        named = {p.name: UNKNOWN for p in parameters if p.kind not in _MANY}
        if self._args is None:
            return named
        bound = signature.bind(*self._args, **self._kwargs)
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                named.update(value)
            elif kind is not inspect.Parameter.VAR_POSITIONAL or value != ():
                named[name] = value
        return named

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Arguments, ()


@cache
def _signature(cls: Any) -> inspect.Signature:
    own = inspect.signature(cls.__init__)
    return own.replace(parameters=list(own.parameters.values())[1:])
