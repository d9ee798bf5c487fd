"""The version of this package, in the form of gunpowder's."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed

__all__ = ["Version", "version"]


class Version:
    """A version in its parts.

    Parameters
    ----------
    text
        Such as ``1.4.4`` or ``2.0.0rc1``.

    Raises
    ------
    ValueError
        If it is none of that form.

    Examples
    --------
    >>> v = Version("1.4.4rc1")
    >>> str(v), v.major(), v.minor(), v.patch(), v.tag()
    ('1.4.4rc1', 1, 4, 4, 'rc1')
    """

    def __init__(self, text: str) -> None:
        parts = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)(.*)", text)
        if parts is None:
            raise ValueError(f"a version is major.minor.patch and perhaps a tag, got {text!r}")
        self._text = text
        self._numbers = tuple(int(part) for part in parts.groups()[:3])
        self._tag = parts[4]

    def major(self) -> int:
        """The first number."""
        return self._numbers[0]

    def minor(self) -> int:
        """The second number."""
        return self._numbers[1]

    def patch(self) -> int:
        """The third number."""
        return self._numbers[2]

    def tag(self) -> str:
        """What follows the numbers."""
        return self._tag

    def version(self) -> str:
        """All of it."""
        return self._text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Version({self._text!r})"


def _own() -> Version:
    try:
        return Version(_installed("voxflow"))
    except (PackageNotFoundError, ValueError):  # a folder on the path, or a build between versions
        return Version("0.0.0+unknown")


version = _own()
"""The version that is installed."""
