import copy
import operator
import pickle
from fractions import Fraction

import funlib.geometry
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voxflow.pipeline.geometry import Coordinate
from voxflow.testing.strategies import coordinates, exact_numbers, voxel_sizes

OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
]


def reference(op, a, b):
    """The operator on two entries, by the book."""
    if a is None or b is None:
        return None
    return op(Fraction(a), Fraction(b))


def is_normal(coordinate):
    return type(coordinate) is Coordinate and all(
        entry is None or type(entry) is int or (type(entry) is Fraction and entry.denominator > 1)
        for entry in coordinate
    )


def pairs(**options):
    return st.integers(0, 4).flatmap(
        lambda dims: st.tuples(coordinates(dims, **options), coordinates(dims, **options))
    )


@pytest.mark.parametrize(
    "made",
    [
        Coordinate(1, 2, 3),
        Coordinate((1, 2, 3)),
        Coordinate([1, 2, 3]),
        Coordinate(np.array([1, 2, 3])),
        Coordinate(np.array([1.0, 2.0, 3.0], np.float32)),
        Coordinate(i + 1 for i in range(3)),
        Coordinate(Coordinate(1, 2, 3)),
        Coordinate(funlib.geometry.Coordinate(1, 2, 3)),
        Coordinate(1.0, Fraction(2), np.uint8(3)),
    ],
)
def test_made_of_many_things(made):
    assert made == (1, 2, 3)
    assert is_normal(made)
    assert hash(made) == hash((1, 2, 3))


def test_one_number_and_nothing():
    assert Coordinate(5) == (5,)
    assert Coordinate(np.array(5)) == (5,)
    assert Coordinate() == ()
    assert Coordinate(None, 1) == (None, 1)


def test_voxel_sizes_that_are_not_whole_are_held_exactly():
    size = Coordinate(np.float32(9.8), 4, 4.0)
    assert size == (Fraction(49, 5), 4, 4)
    assert size == Coordinate(9.8, 4, 4)
    assert size * 5 == (49, 20, 20)
    assert repr(size) == "(9.8, 4, 4)"
    assert f"{size}" == "(9.8, 4, 4)"
    assert repr(Coordinate(Fraction(1, 3))) == "(1/3,)"
    assert repr(Coordinate(7)) == "(7,)"
    assert repr(Coordinate(None, 0.5)) == "(None, 0.5)"
    assert not size.is_whole
    assert Coordinate(1, 2).is_whole
    assert size.to_float() == (9.8, 4.0, 4.0)


@pytest.mark.parametrize(
    ("entries", "error", "text"),
    [
        (("1", 2), TypeError, "entry 0 of a Coordinate: .* str '1'"),
        ((1, float("nan")), ValueError, "entry 1 of a Coordinate: .* got nan"),
        ((1, np.float32("inf")), ValueError, "entry 1"),
        (("12",), TypeError, "a Coordinate is made of numbers, got str '12'"),
        (((1, (2,)),), TypeError, "entry 1 of a Coordinate"),
    ],
)
def test_bad_entries_are_named(entries, error, text):
    with pytest.raises(error, match=text):
        Coordinate(*entries)


def test_an_error_of_the_iterable_itself_passes():
    def broken():
        yield 1
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Coordinate(broken())


def test_results_are_exact():
    assert Coordinate(3, 5) * 1.5 == (Fraction(9, 2), Fraction(15, 2))
    assert Coordinate(-3, 3) / 2 == (Fraction(-3, 2), Fraction(3, 2))
    assert Coordinate(-3, 3) // 2 == (-2, 1)
    assert Coordinate(-3, 3) % 2 == (1, 1)
    assert Coordinate(3, 0.5) ** 2 == (9, Fraction(1, 4))
    assert Coordinate(2, 4) ** -1 == (Fraction(1, 2), Fraction(1, 4))
    assert Coordinate(9, 4) ** 0.5 == (3, 2)
    assert 2 ** Coordinate(3, None) == (8, None)
    assert abs(Coordinate(-1, None, -0.5)) == (1, None, Fraction(1, 2))
    assert +Coordinate(1, 2) == (1, 2)
    assert -Coordinate(1, None, -0.5) == (-1, None, Fraction(1, 2))


@pytest.mark.parametrize("op", OPERATORS)
@given(pair=pairs(unbounded=True))
def test_coordinates_are_combined_elementwise(op, pair):
    a, b = pair
    if op in (operator.truediv, operator.floordiv, operator.mod):
        assume(0 not in b)
    result = op(a, b)
    assert is_normal(result)
    assert result == tuple(reference(op, x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("op", OPERATORS)
@given(a=coordinates(unbounded=True), number=exact_numbers())
def test_numbers_stand_on_either_side(op, a, number):
    if op in (operator.truediv, operator.floordiv, operator.mod):
        assume(number != 0 and 0 not in a)
    right, left = op(a, number), op(number, a)
    assert is_normal(right)
    assert is_normal(left)
    assert right == tuple(reference(op, x, number) for x in a)
    assert left == tuple(reference(op, number, x) for x in a)


@pytest.mark.parametrize("op", OPERATORS)
@given(pair=pairs(whole=True))
def test_funlib_coordinates_mix_on_either_side(op, pair):
    a, b = pair
    if op in (operator.truediv, operator.floordiv, operator.mod):
        assume(0 not in b)
    theirs_a, theirs_b = funlib.geometry.Coordinate(a), funlib.geometry.Coordinate(b)
    assert is_normal(op(theirs_a, b))
    assert is_normal(op(a, theirs_b))
    assert op(theirs_a, b) == op(a, theirs_b) == op(a, b)
    assert theirs_a == a
    assert a == theirs_a
    assert isinstance(a, funlib.geometry.Coordinate)


@given(pairs(whole=True))
def test_agrees_with_funlib_where_results_are_whole(pair):
    a, b = pair
    theirs_a, theirs_b = funlib.geometry.Coordinate(a), funlib.geometry.Coordinate(b)
    assert a + b == theirs_a + theirs_b
    assert -a == -theirs_a
    assert abs(a) == abs(theirs_a)
    assert a.squeeze(1) == theirs_a.squeeze(1)
    assert repr(a) == repr(theirs_a)
    divisor, theirs_divisor = abs(b) + 1, abs(theirs_b) + 1
    assert a // divisor == theirs_a // theirs_divisor
    assert a.floor_division(divisor) == theirs_a.floor_division(theirs_divisor)
    assert a.ceil_division(divisor) == theirs_a.ceil_division(theirs_divisor)
    assert a.round_division(divisor) == theirs_a.round_division(theirs_divisor)
    assert a.is_multiple_of(divisor) == theirs_a.is_multiple_of(theirs_divisor)


@given(st.data(), voxel_sizes())
def test_divisions_round_as_they_say(data, size):
    a = data.draw(coordinates(size.dims))
    down, up, near = a.floor_division(size), a.ceil_division(size), a.round_division(size)
    for x, s, low, high, closest in zip(a, size, down, up, near, strict=True):
        assert low * s <= x < (low + 1) * s
        assert (high - 1) * s < x <= high * s
        assert -s < 2 * (x - closest * s) <= s  # halves go down
        assert type(closest) is int
    assert (a * size).is_multiple_of(size) == a.is_whole


def test_halves_round_down():
    assert Coordinate(2, 3, -2).round_division(Coordinate(4, 4, 4)) == (0, 1, -1)


def test_numpy_scalars_and_booleans_are_numbers():
    c = Coordinate(1, 2)
    assert is_normal(c * np.int64(2))
    assert c * np.int64(2) == (2, 4)
    assert c + np.float32(0.1) == (Fraction("1.1"), Fraction("2.1"))
    assert c + True == (2, 3)
    assert c * np.array(3) == (3, 6)


def test_arrays_stay_arrays():
    result = np.array([1, 2]) + Coordinate(1, 2)
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, [2, 4])


def test_a_tuple_before_is_joined():
    joined = (3,) + Coordinate(1, 2)
    assert joined == (3, 1, 2)
    assert type(joined) is tuple
    assert type(Coordinate(1, 2, 3)[1:]) is tuple


@pytest.mark.parametrize("other", [(1, 2), [1, 2], np.array([1, 2]), "2", None, 1j])
@pytest.mark.parametrize("op", OPERATORS)
def test_other_operands_are_refused(op, other):
    with pytest.raises(TypeError, match="is not defined"):
        op(Coordinate(3, 4), other)


def test_the_error_for_a_tuple_says_what_to_do():
    with pytest.raises(TypeError, match=r"make a Coordinate of it: Coordinate\(\(1, 2\)\)"):
        Coordinate(3, 4) + (1, 2)
    with pytest.raises(TypeError, match=r"tuple - Coordinate is not defined"):
        (1, 2) - Coordinate(3, 4)


@pytest.mark.parametrize("op", [*OPERATORS, operator.pow, Coordinate.is_multiple_of])
def test_lengths_must_agree(op):
    with pytest.raises(ValueError, match=r"\(1, 2\) \(2 entries\) and \(1, 2, 3\) \(3 entries\)"):
        op(Coordinate(1, 2), Coordinate(1, 2, 3))


def test_division_by_zero_and_by_nan():
    for op in (operator.truediv, operator.floordiv, operator.mod):
        for zero in (0, 0.0, Coordinate(0, 1)):
            with pytest.raises(ZeroDivisionError):
                op(Coordinate(1, 2), zero)
            with pytest.raises(ZeroDivisionError):
                op(Coordinate(0.5, 2), zero)
    with pytest.raises(ValueError, match="finite"):
        Coordinate(1, 2) / float("nan")


def test_none_has_no_multiples():
    with pytest.raises(TypeError):
        Coordinate(None, 2).is_multiple_of(Coordinate(1, 1))


@given(coordinates(unbounded=True))
def test_copies_are_equal(a):
    assert copy.copy(a) is a
    assert copy.deepcopy(a) is a
    again = pickle.loads(pickle.dumps(a))
    assert again == a
    assert is_normal(again)


def test_dims():
    assert Coordinate(1, 2, 3).dims == 3
