"""Names of the arrays and graphs that travel through a pipeline.

A key is a value: two keys of one kind and one name are equal and hash alike, in this process and
in every worker, whatever its start method.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn


class _Key:
    """A name. Subclasses say of what."""

    __slots__ = ("identifier",)

    identifier: str
    _registry: ClassVar[type]

    def __init__(self, identifier: str) -> None:
        object.__setattr__(self, "identifier", str(identifier))
        setattr(self._registry, self.identifier, self)

    @property
    def hash(self) -> int:
        """The key's hash in this process."""
        return hash(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, _Key):
            return NotImplemented
        return self._registry is other._registry and self.identifier == other.identifier

    def __hash__(self) -> int:
        # A str keeps its own hash, so this costs no more than a look-up. It is never pickled:
        # string hashes differ between processes.
        return hash(self.identifier)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} {self.identifier!r} is a value, it cannot be changed"
        )

    def __reduce__(self) -> tuple[type, tuple[str]]:
        # Rebuilding through the constructor registers the key in the receiving process too.
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
    >>> raw == ArrayKey("RAW"), raw is ArrayKeys.RAW
    (True, False)
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
