"""A point, an extent or a voxel size in exact units."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import repeat
from typing import Any

import funlib.geometry.coordinate

from voxflow.pipeline.geometry.exact import Exact, exact, format_exact, whole

__all__ = ["Coordinate"]

_FunlibCoordinate: Any = funlib.geometry.coordinate.Coordinate
_new: Callable[..., Coordinate] = tuple.__new__
_index = operator.index

_SYMBOLS: dict[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
}


class Coordinate(_FunlibCoordinate):
    """A tuple of exact numbers with elementwise arithmetic.

    Entries are ``int`` where the value is whole, ``Fraction`` where it is not, or ``None`` (not
    bounded). A float is read as the decimal that it is written with: 9.8 is 49/5, printed 9.8.
    Nothing is ever rounded or cut off.

    Every operator takes another coordinate of as many entries, or a number, on either side, and
    an entry is ``None`` where either operand's is. Two things remain those of a tuple:
    ``tuple + Coordinate`` joins both into a plain tuple (shapes are built so), and a slice is a
    plain tuple. It is a ``funlib.geometry.Coordinate`` and mixes with those.

    It equals, and hashes like, the plain tuple of its exact entries. A float that is not a binary
    fraction is no such entry: compare with ``Coordinate(9.8)``, not with ``(9.8,)``.

    Parameters
    ----------
    *array_like
        The entries, or one iterable of them.

    Raises
    ------
    TypeError
        If an entry is no number, text included.
    ValueError
        If an entry is not finite, or if the operands of an operator differ in length.

    Examples
    --------
    >>> shape, voxel_size = Coordinate(10, 20), Coordinate(9.8, 4)
    >>> shape * voxel_size
    (98, 80)
    >>> 2 * voxel_size + 0.5
    (20.1, 8.5)
    >>> (3,) + shape
    (3, 10, 20)
    """

    __slots__ = ()

    def __new__(cls, *array_like: Any) -> Coordinate:
        """Read the entries."""
        entries = array_like
        if len(array_like) == 1:
            first = array_like[0]
            if type(first) is cls:
                return first
            entries = first if type(first) is tuple else _entries(first)
        try:
            return _new(cls, map(_index, entries))
        except TypeError:
            return _new(cls, [_entry(i, value) for i, value in enumerate(entries)])

    @property
    def dims(self) -> int:
        """The number of entries."""
        return len(self)

    @property
    def is_whole(self) -> bool:
        """Whether every entry is an integer (``None`` is not)."""
        return all(type(entry) is int for entry in self)

    def to_float(self) -> tuple[float | None, ...]:
        """Give the entries as the nearest floats, for libraries that take nothing else."""
        return tuple(None if entry is None else float(entry) for entry in self)

    def squeeze(self, dim: int = 0) -> Coordinate:
        """Leave out entry ``dim``; unchanged where there is none."""
        return Coordinate(entry for i, entry in enumerate(self) if i != dim)

    def is_multiple_of(self, coordinate: Iterable[Any]) -> bool:
        """Say whether every entry is a whole multiple of the other's.

        Raises
        ------
        TypeError
            If an entry is ``None``.

        Examples
        --------
        >>> Coordinate(49, 8).is_multiple_of(Coordinate(9.8, 4))
        True
        """
        other = coordinate if type(coordinate) is Coordinate else Coordinate(coordinate)
        if len(other) != len(self):
            raise _dims_error("is_multiple_of", self, other)
        return not any(map(operator.mod, self, other))

    def floor_division(self, other: Any) -> Coordinate:
        """Divide, rounding down."""
        return _combine(operator.floordiv, self, other)

    def ceil_division(self, other: Any) -> Coordinate:
        """Divide, rounding up."""
        return _combine(_ceil_divide, self, other)

    def round_division(self, other: Any) -> Coordinate:
        """Divide, rounding to the nearest whole number, halves down.

        >>> Coordinate(2, 3, -2).round_division(4)
        (0, 1, -1)
        """
        return _combine(_round_divide, self, other)

    def __neg__(self) -> Coordinate:
        try:
            return _new(Coordinate, map(operator.neg, self))
        except TypeError:
            return _new(Coordinate, [None if a is None else -a for a in self])

    def __pos__(self) -> Coordinate:
        return self

    def __abs__(self) -> Coordinate:
        try:
            return _new(Coordinate, map(abs, self))
        except TypeError:
            return _new(Coordinate, [None if a is None else abs(a) for a in self])

    def __add__(self, other: Any) -> Coordinate:
        return _combine(operator.add, self, other)

    def __radd__(self, other: Any) -> Coordinate:
        if isinstance(other, tuple) and not isinstance(other, _FunlibCoordinate):
            return NotImplemented  # leave it to tuple, which joins the two
        return _combine_reflected(operator.add, self, other)

    def __sub__(self, other: Any) -> Coordinate:
        return _combine(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Coordinate:
        return _combine_reflected(operator.sub, self, other)

    def __mul__(self, other: Any) -> Coordinate:
        return _combine(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Coordinate:
        return _combine_reflected(operator.mul, self, other)

    def __truediv__(self, other: Any) -> Coordinate:
        pair = _paired(operator.truediv, self, other)
        try:
            if not any(map(operator.mod, self, pair)):
                return _new(Coordinate, map(_index, map(operator.floordiv, self, pair)))
        except TypeError:
            pass
        return _combine_slowly(_divide, self, pair)

    def __rtruediv__(self, other: Any) -> Coordinate:
        return _combine_reflected(_divide, self, other)

    def __floordiv__(self, other: Any) -> Coordinate:
        return _combine(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Coordinate:
        return _combine_reflected(operator.floordiv, self, other)

    def __mod__(self, other: Any) -> Coordinate:
        return _combine(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Coordinate:
        return _combine_reflected(operator.mod, self, other)

    def __pow__(self, other: Any) -> Coordinate:
        return _combine(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Coordinate:
        return _combine_reflected(operator.pow, self, other)

    def __copy__(self) -> Coordinate:
        return self

    def __deepcopy__(self, memo: Any) -> Coordinate:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self),)

    def __repr__(self) -> str:
        text = tuple.__repr__(self)
        if "Fraction" not in text:
            return text
        inside = ", ".join(format_exact(entry) for entry in self)
        return f"({inside},)" if len(self) == 1 else f"({inside})"


def _entries(first: Any) -> tuple[Any, ...]:
    """Unpack the one argument of ``Coordinate(...)``: an iterable, or else a single entry."""
    if isinstance(first, (str, bytes)):
        raise TypeError(f"a Coordinate is made of numbers, got {type(first).__name__} {first!r}")
    try:
        iterator = iter(first)
    except TypeError:
        return (first,)
    return tuple(iterator)


def _entry(position: int, value: Any) -> Exact | None:
    """Read one entry; an error says which one it was."""
    if value is None:
        return None
    try:
        return exact(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"entry {position} of a Coordinate: {error}") from None


def _combine(op: Any, own: Coordinate, other: Any) -> Coordinate:
    """Apply ``op`` elementwise, ``own`` on the left."""
    alike = type(other) is Coordinate and len(own) == len(other)
    pair = other if alike else _paired(op, own, other)
    try:
        # ``index`` passes ints through at the speed of C and refuses all that needs a closer look.
        return _new(Coordinate, map(_index, map(op, own, pair)))
    except TypeError:
        return _combine_slowly(op, own, pair)


def _combine_reflected(op: Any, own: Coordinate, other: Any) -> Coordinate:
    """Apply ``op`` elementwise, ``own`` on the right."""
    pair = _paired(op, own, other, reflected=True)
    try:
        return _new(Coordinate, map(_index, map(op, pair, own)))
    except TypeError:
        return _combine_slowly(op, pair, own)


def _combine_slowly(op: Any, left: Iterable[Any], right: Iterable[Any]) -> Coordinate:
    """Apply ``op`` where an entry is ``None`` or not whole."""
    if op is operator.pow:
        op = _power
    return _new(
        Coordinate,
        [
            None if a is None or b is None else whole(op(a, b))
            for a, b in zip(left, right, strict=False)  # one side may be an endless repeat
        ],
    )


def _paired(op: Any, own: Coordinate, other: Any, reflected: bool = False) -> Iterable[Any]:
    """Give what is iterated beside ``own``: the other's entries, or its number repeated."""
    kind = type(other)
    if kind is int:
        return repeat(other)
    if kind is Coordinate or isinstance(other, _FunlibCoordinate):
        if len(own) != len(other):
            raise _dims_error(_SYMBOLS.get(op, op.__name__), own, other)
        pair: Iterable[Any] = other
        return pair
    if not isinstance(other, (tuple, list)) and getattr(other, "ndim", 0) == 0:
        try:
            return repeat(exact(other))
        except TypeError:
            pass
    symbol = _SYMBOLS.get(op, op.__name__.strip("_"))
    sides = (
        f"{kind.__name__} {symbol} Coordinate"
        if reflected
        else f"Coordinate {symbol} {kind.__name__}"
    )
    raise TypeError(
        f"{sides} is not defined: got {other!r} beside {own!r}. "
        f"Give a number, or make a Coordinate of it: Coordinate({other!r})"
    )


def _dims_error(what: str, own: Coordinate, other: Any) -> ValueError:
    return ValueError(
        f"{what} needs coordinates of equal length, "
        f"got {own!r} ({len(own)} entries) and {other!r} ({len(other)} entries)"
    )


def _divide(a: Exact, b: Exact) -> Exact:
    return Fraction(a) / b


def _ceil_divide(a: Exact, b: Exact) -> Exact:
    return -(-a // b)


def _round_divide(a: Exact, b: Exact) -> Exact:
    return -((b - 2 * a) // (2 * b))


def _power(a: Exact, b: Exact) -> Exact:
    return exact(Fraction(a) ** b)


_SYMBOLS.update({_divide: "/", _ceil_divide: "ceil_division", _round_divide: "round_division"})
