"""Names of the arrays and graphs that travel through a pipeline.

A key is a value, and there is one object for each kind and name in a process: keys are equal where
they are the same object, which is what makes looking them up cheap. Workers find the object of
their own process, whatever its start method.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self


class _Key:
    """A name. Subclasses say of what."""

    __slots__ = ("identifier",)

    identifier: str
    _registry: ClassVar[type]
    _made: ClassVar[dict[tuple[type, str], Any]] = {}

    def __new__(cls, identifier: str) -> Self:
        name = str(identifier)
        key = cls._made.get((cls, name))
        if key is None:
            new = object.__new__(cls)
            object.__setattr__(new, "identifier", name)
            # Two threads that make the same key get the same one.
            key = cls._made.setdefault((cls, name), new)
            setattr(cls._registry, name, key)
        return key  # type: ignore[no-any-return]

    @property
    def hash(self) -> int:
        """The key's hash in this process."""
        return hash(self)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} {self.identifier!r} is a value, it cannot be changed"
        )

    def __reduce__(self) -> tuple[type, tuple[str]]:
        # Rebuilding through the constructor finds the key of the receiving process.
        return type(self), (self.identifier,)

    def __copy__(self) -> _Key:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Key:
        return self

    def __repr__(self) -> str:
        return self.identifier


class _Registry(type):
    """Lists the keys made so far as class attributes."""

    def __getattr__(cls, name: str) -> Any:
        known = ", ".join(sorted(k for k in vars(cls) if not k.startswith("_"))) or "none so far"
        raise AttributeError(f"no key named {name!r} has been created (known: {known})")


class ArrayKeys(metaclass=_Registry):
    """Every `ArrayKey` of this process by its name: ``ArrayKeys.RAW``."""


class GraphKeys(metaclass=_Registry):
    """Every `GraphKey` of this process by its name: ``GraphKeys.SKELETONS``."""


class ArrayKey(_Key):
    """The name of an array in requests, specs and batches.

    Parameters
    ----------
    identifier
        The name. Creating a key also makes it an attribute of `ArrayKeys`.

    Examples
    --------
    >>> raw = ArrayKey("RAW")
    >>> raw is ArrayKey("RAW"), raw is ArrayKeys.RAW
    (True, True)
    """

    __slots__ = ()
    _registry = ArrayKeys


class GraphKey(_Key):
    """The name of a graph (points, skeletons) in requests, specs and batches.

    Parameters
    ----------
    identifier
        The name. Creating a key also makes it an attribute of `GraphKeys`. A graph key
        never equals an array key, not even of the same name.

    Examples
    --------
    >>> GraphKey("SYNAPSES") == ArrayKey("SYNAPSES")
    False
    """

    __slots__ = ()
    _registry = GraphKeys
