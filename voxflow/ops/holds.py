"""Whether arrays of a type can hold a number as it is."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["holds"]


def holds(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a type has a number; those of floating point have all, rounded.

    Examples
    --------
    >>> holds(np.dtype("u1"), 255), holds(np.dtype("u1"), 0.5), holds(np.dtype(bool), 2)
    (True, False, False)
    """
    if dtype.kind == "b":
        return value in (0, 1)
    if dtype.kind not in "ui" or value == 0:
        return True
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max and value == int(value))
