"""Methods that nodes of one's own bring along for a node that does not call them."""

from __future__ import annotations


def refuse_own(node: object, base: str, *names: str) -> None:
    """Raise if the class of a node has methods that would be left out in silence.

    Parameters
    ----------
    node
        Of a class that may inherit from one of ours.
    base
        The class to inherit from for a step of one's own, with its module.
    names
        The methods that only that class calls.

    Raises
    ------
    TypeError
        If there is one.
    """
    own = [name for name in names if hasattr(node, name)]
    if own:
        raise TypeError(
            f"{type(node).__name__} has {' and '.join(f'{name}()' for name in own)}, which would "
            f"never be called: inherit from {base}, which calls {', '.join(names[:-1])} and "
            f"{names[-1]}"
        )
