"""Exact numbers: whole values as ``int``, all others as ``Fraction``."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = ["Exact", "exact", "format_exact", "whole"]

Exact = int | Fraction
"""A world unit: ``int`` where the value is whole, ``Fraction`` (never whole) elsewhere."""

_MOST_DIGITS = 15  # a decimal with more places than this is printed as a fraction


def whole(value: Exact) -> Exact:
    """Give a whole fraction as ``int`` and everything else as it is.

    >>> whole(Fraction(8, 4)), whole(Fraction(1, 2)), whole(3)
    (2, Fraction(1, 2), 3)
    """
    if type(value) is int:
        return value
    return value.numerator if value.denominator == 1 else value


def exact(value: Any) -> Exact:
    """Read a number for what its writer meant by it.

    A float stands for the shortest decimal that it is written with, so that ``9.8`` is 49/5, not
    the binary fraction nearest to it. The same goes for numpy's floats of any width.

    Parameters
    ----------
    value
        int, float, ``Fraction``, ``Decimal``, bool, a numpy scalar, or an array of no dimensions.

    Raises
    ------
    ValueError
        If the number is not finite.
    TypeError
        If it is no real number; text is not read as a number.

    Examples
    --------
    >>> exact(9.8), exact(4.0), exact(True)
    (Fraction(49, 5), 4, 1)
    """
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Fraction):
        return whole(value)
    if isinstance(value, float):
        return _read_decimal(float.__repr__(value), value)
    if isinstance(value, Decimal):
        return _read_decimal(str(value), value)
    return _exact_foreign(value)


def _exact_foreign(value: Any) -> Exact:
    """Read a number of another library (numpy, torch) without importing it."""
    if isinstance(value, (str, bytes, complex)) or value is None:
        raise TypeError(f"expected a real number, got {type(value).__name__} {value!r}")
    try:
        return int(value.__index__())
    except (AttributeError, TypeError):
        pass
    if getattr(value, "ndim", None) == 0 and hasattr(value, "dtype") and hasattr(value, "item"):
        plain = value.item()
        if isinstance(plain, float) and hasattr(value, "astype"):
            # A narrow numpy float is written shorter than the double made from it.
            return _read_decimal(str(value[()]), value)
        return exact(plain)
    raise TypeError(f"expected a real number, got {type(value).__name__} {value!r}")


def _read_decimal(text: str, value: Any) -> Exact:
    try:
        return whole(Fraction(text))
    except ValueError:
        raise ValueError(f"expected a finite number, got {value!r}") from None


def format_exact(value: Exact | None) -> str:
    """Write an exact number: as a decimal where that is finite and short, else as a fraction.

    >>> format_exact(Fraction(49, 5)), format_exact(Fraction(1, 3)), format_exact(None)
    ('9.8', '1/3', 'None')
    """
    if value is None or isinstance(value, int):
        return str(value)
    places = _decimal_places(value.denominator)
    if places is None or places > _MOST_DIGITS:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def _decimal_places(denominator: int) -> int | None:
    """Count the decimal places of 1/denominator; ``None`` where they never end."""
    places = {2: 0, 5: 0}
    for prime in places:
        while denominator % prime == 0:
            denominator //= prime
            places[prime] += 1
    return max(places.values()) if denominator == 1 else None
