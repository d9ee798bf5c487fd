"""Plain pointers inside of compiled functions.

An array costs seven arguments at each call, and is counted. Loops that call a function for every
row take pointers instead, which are one argument and nothing else. Nobody checks an index, and
nobody keeps the memory: whoever calls the outermost function holds the arrays.
"""

from __future__ import annotations

from typing import Any

import numba.extending
import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

__all__ = ["as_element", "move_pair", "pointer", "prefetch", "steps_are_items", "unlocked"]


def unlocked(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory for a kernel that only reads it.

    Arrays that may not be written are another type for numba: each kernel would be compiled twice.

    Examples
    --------
    >>> kept = np.arange(3)
    >>> kept.flags.writeable = False
    >>> unlocked(kept).flags.writeable, np.shares_memory(unlocked(kept), kept)
    (True, True)
    """
    return array if array.flags.writeable else np.asarray(_Unlocked(array))


def steps_are_items(array: NDArray[Any]) -> bool:
    """Whether memory is aligned, and one comes along it by whole items, as kernels of pointers do.

    Not in a field of a packed structure, say.

    Examples
    --------
    >>> packed = np.zeros(3, [("weight", "f4"), ("kind", "u1")])
    >>> steps_are_items(packed["weight"]), steps_are_items(packed["kind"])
    (False, True)
    """
    size = array.itemsize
    return array.flags.aligned and not any([step % size for step in array.strides])


class _Unlocked:
    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array  # whose memory has to stay
        there = array.__array_interface__
        self.__array_interface__ = {**there, "data": (there["data"][0], False)}


# Typed as what it is called with in Python, not as what compiled functions call.
intrinsic: Any = numba.extending.intrinsic


@intrinsic
def pointer(typingctx: Any, array: Any) -> Any:
    """A pointer to the first element of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate  # type: ignore[no-untyped-call]


@intrinsic
def as_element(typingctx: Any, target: Any, value: Any) -> Any:
    """A number in the type that a pointer points to."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.cast(builder, arguments[1], signature.args[1], signature.return_type)

    return target.dtype(target, value), generate


@intrinsic
def move_pair(typingctx: Any, source: Any, at: Any, target: Any, to: Any) -> Any:
    """``target[to], target[to + 1] = source[at], source[at + 1]``, as one load and one store.

    Neighbours along the last axis are what linear interpolation reads most, and what costs most is
    the number of loads. Both pointers are of the same type.
    """
    wide = ir.IntType(2 * source.dtype.bitwidth)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def place(number: int) -> Any:
            first = builder.gep(arguments[number], [arguments[number + 1]])
            return builder.bitcast(first, wide.as_pointer())

        # Not at multiples of the width.
        builder.store(builder.load(place(0), align=1), place(2), align=1)
        return context.get_dummy_value()

    return types.none(source, types.intp, target, types.intp), generate


@intrinsic
def prefetch(typingctx: Any, source: Any, at: Any) -> Any:
    """Say that ``source[at]`` will be read soon. It does not have to exist."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(arguments[0], [arguments[1]])
        place = builder.bitcast(place, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        # For reading; to be kept in the second-level cache; data.
        builder.call(function, [place, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.none(source, types.intp), generate
