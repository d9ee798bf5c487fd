from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.pipeline.geometry import exact, format_exact
from voxflow.testing.strategies import exact_numbers


@pytest.mark.parametrize(
    ("given_value", "meant"),
    [
        (3, 3),
        (True, 1),
        (np.True_, 1),
        (np.int64(-7), -7),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.array(4), 4),
        (4.0, 4),
        (-0.0, 0),
        (9.8, Fraction(49, 5)),
        (np.float64(9.8), Fraction(49, 5)),
        (np.float32(9.8), Fraction(49, 5)),
        (np.float16(9.8), Fraction(49, 5)),
        (np.array(9.8, np.float32), Fraction(49, 5)),
        (1e-7, Fraction(1, 10**7)),
        (1e22, 10**22),
        (0.1 + 0.2, Fraction("0.30000000000000004")),
        (Decimal("9.80"), Fraction(49, 5)),
        (Fraction(10, 5), 2),
    ],
)
def test_a_number_is_read_as_it_is_written(given_value, meant):
    value = exact(given_value)
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize("bad", ["9.8", b"9", None, 1j, [1], np.array([1.0]), object()])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(TypeError, match="expected a real number, got"):
        exact(bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float32("-inf"), Decimal("NaN")])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        exact(bad)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(value):
    assert float(exact(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(49, 5), "9.8"),
        (Fraction(-1, 20), "-0.05"),
        (Fraction(-49, 5), "-9.8"),
        (Fraction(1, 3), "1/3"),
        (Fraction(1, 2**40), f"1/{2**40}"),
        (-7, "-7"),
        (None, "None"),
    ],
)
def test_text(value, text):
    assert format_exact(value) == text


@given(exact_numbers())
def test_the_text_of_a_number_reads_back(value):
    assert Fraction(format_exact(value)) == value
