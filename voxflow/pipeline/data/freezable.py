"""Objects that refuse attributes which they do not have yet."""

from __future__ import annotations

from typing import Any

__all__ = ["Freezable"]


class Freezable:
    """A base of classes whose objects can be frozen: attributes can be set, but no new ones made.

    voxflow's own values use slots or are frozen for good; this is for classes that were written
    for gunpowder.

    Raises
    ------
    TypeError
        If an attribute that is not there is set on a frozen object.

    Examples
    --------
    >>> class Settings(Freezable):
    ...     def __init__(self):
    ...         self.sigma = 1
    ...         self.freeze()
    >>> settings = Settings()
    >>> settings.sigma = 2
    >>> settings.sgima = 3
    Traceback (most recent call last):
    ...
    TypeError: Settings is frozen and has no attribute 'sgima'; it has: sigma
    """

    _frozen = False

    def freeze(self) -> None:
        """Refuse new attributes from now on."""
        object.__setattr__(self, "_frozen", True)

    def thaw(self) -> None:
        """Take new attributes again."""
        object.__setattr__(self, "_frozen", False)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._frozen and not hasattr(self, name):
            known = ", ".join(sorted(n for n in vars(self) if not n.startswith("_"))) or "none"
            raise TypeError(
                f"{type(self).__name__} is frozen and has no attribute {name!r}; it has: {known}"
            )
        object.__setattr__(self, name, value)
