"""Variables of the environment in values: ``${VAR}`` and ``${VAR:-default}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["interpolate"]

_VARIABLE = re.compile(
    r"\$\$(?=\{)|\$\{(?P<name>[A-Za-z_]\w*)(?P<default>:-[^}]*)?\}|(?P<broken>\$\{)"
)


def interpolate(value: Any, environment: Mapping[str, str]) -> Any:
    """A value with the variables of the environment in place of their names.

    What comes out of a variable is text; where the schema wants a number, it is read as one.

    Parameters
    ----------
    value
        Text, or anything else, which is left as it is. ``$${`` stands for ``${``.
    environment
        The variables. One that is empty counts as missing, as it does for a shell's ``:-``.

    Raises
    ------
    ValueError
        If a variable is missing and has no default, or a name is not closed.

    Examples
    --------
    >>> interpolate("${ROOT:-/data}/raw", {}), interpolate("${ROOT}/raw", {"ROOT": "/scratch"})
    ('/data/raw', '/scratch/raw')
    """
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> str:
        if match["broken"]:
            raise ValueError(
                f"{value!r} has a ${{ that is neither ${{VAR}} nor ${{VAR:-default}}; $${{ is text"
            )
        name, default = match["name"], match["default"]
        if name is None:
            return "$"
        if environment.get(name):
            return environment[name]
        if default is None:
            raise ValueError(
                f"the variable {name} of the environment is not set; set it, or say "
                f"${{{name}:-default}}"
            )
        return default[2:]

    return _VARIABLE.sub(found, value)
