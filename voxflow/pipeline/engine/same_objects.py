"""Results for the same few immutable objects, which a request hands from node to node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class SameObjects(Generic[T]):
    """Calls a function once for the same objects, which are told apart by identity.

    Comparing exact fractions costs more than all else that the engine does for a node. A region
    stays the same object on its way through many nodes, so most of that can be left out.

    Parameters
    ----------
    function
        Its result depends on nothing but its three arguments, which cannot be changed.
    size
        How many results are kept; then all are forgotten.

    Examples
    --------
    >>> longest = SameObjects(lambda a, b, c: max(len(a), len(b), len(c)))
    >>> longest("text", "to", "read"), longest("text", "to", "read")
    (4, 4)
    """

    def __init__(self, function: Callable[..., T], size: int = 1024) -> None:
        self._function = function
        self._size = size
        # The objects are kept with their results, so that no other one gets their id.
        self._known: dict[tuple[int, int, int], tuple[tuple[Any, Any, Any], T]] = {}

    def __call__(self, a: Any, b: Any, c: Any) -> T:
        """The result for these objects."""
        key = (id(a), id(b), id(c))
        known = self._known.get(key)
        if known is not None:
            return known[1]
        result = self._function(a, b, c)
        if len(self._known) >= self._size:
            self._known.clear()
        self._known[key] = (a, b, c), result
        return result
