"""Attributes of arrays, as files can hold them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

_GEOMETRY = frozenset({"offset", "resolution", "voxel_size"})
_OF_ONE_BATCH = frozenset({"health"})


def storable_attrs(attrs: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Turn attributes into numbers, text, and arrays, lists and dicts of these.

    None is left out, and so is what states the geometry, which the writer knows better, and what is
    said of the voxels of one batch only (``"health"``).

    Parameters
    ----------
    attrs
        The attributes of an array.
    what
        The array, for messages.

    Raises
    ------
    TypeError
        If a value is something else.

    Examples
    --------
    >>> storable_attrs({"offset": (0, 0), "steps": (1, Fraction(1, 2)), "note": None}, "RAW")
    {'steps': array([1. , 0.5])}
    """
    found = {}
    for name, value in attrs.items():
        if value is None or name in _GEOMETRY | _OF_ONE_BATCH:
            continue
        try:
            found[str(name)] = _storable(value)
        except TypeError as error:
            raise TypeError(
                f"the attribute {name!r} of {what} is {value!r}, which a file cannot hold "
                f"({error}); make it numbers, text, or lists or dicts of these"
            ) from None
    return found


def _storable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind in "biuf" else _sequence(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, PurePath | np.dtype):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(_storable(entry)) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(value)
    raise TypeError(f"a {type(value).__name__}")


def _sequence(values: Any) -> Any:
    """An array of numbers where it is one, as h5py makes of such lists; else a list."""
    entries = [_plain(_storable(entry)) for entry in values]
    try:
        array = np.asarray(entries)
    except ValueError:  # of several lengths
        return entries
    return array if array.dtype.kind in "biuf" and array.size else entries


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
