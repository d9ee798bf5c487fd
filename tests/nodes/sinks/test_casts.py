from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voxflow.nodes.sinks.casts import becomes_zero, cast_for_output

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


@given(
    data=st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, st.integers(0, 4))),
    wanted=st.sampled_from(DTYPES),
)
def test_values_are_kept_or_the_cast_is_refused(data, wanted):
    try:
        cast = cast_for_output(data, wanted, "RAW")
    except ValueError:
        return
    assert cast.dtype == np.dtype(wanted)
    for old, new in zip(data.tolist(), cast.tolist(), strict=True):
        if cast.dtype.kind == "b" and data.dtype.kind == "f":
            assert new == (old != 0)
        elif cast.dtype.kind in "iub":
            assert new == int(old)  # fractions are cut off
        elif data.dtype.kind in "iub":
            assert new == old
        elif np.isfinite(old):
            assert new == pytest.approx(old, rel=1e-2, abs=1e-6)
        else:
            assert str(new) == str(old)


@pytest.mark.parametrize(
    ("data", "wanted", "text"),
    [
        (
            [0.0, 256.0],
            "u1",
            r"RAW has values in \[0.0, 256.0\], which uint8 cannot hold \(\[0, 255",
        ),
        ([-1.0, 3.0], "u1", "cannot hold"),
        ([1.0, np.nan], "u1", "cannot hold"),
        ([1.0, np.inf], "i8", "cannot hold"),
        (np.array([2.0**64]), "u8", "cannot hold"),
        (np.array([2**63], "u8"), "i8", "cannot hold"),
        (np.array([-1], "i8"), "u8", "cannot hold"),
        (np.array([3], "f2"), "?", "cannot hold"),
        ([1e39], "f4", r"up to 1e\+39, which become infinite as float32"),
        (np.array([2**24 + 1], "u8"), "f4", "integers up to 16777217, which float32 cannot tell"),
        (np.array([2**64 - 1], "u8"), "f8", "cannot tell apart"),
        (np.array([1j]), "f8", "complex"),
    ],
)
def test_what_would_be_lost(data, wanted, text):
    with pytest.raises(ValueError, match=text):
        cast_for_output(np.asarray(data), wanted, "RAW")


@pytest.mark.parametrize(
    ("data", "wanted", "result"),
    [
        ([0.0, 255.9], "u1", [0, 255]),
        ([-0.9, 0.9], "u1", [0, 0]),
        (np.array([2**24, -(2**24)]), "f4", [2**24, -(2**24)]),
        (np.array([2**62], "u8"), "f4", [2**62]),
        ([np.inf, np.nan], "f4", [np.inf, np.nan]),
        (np.array([2**64 - 1], "u8"), "u8", [2**64 - 1]),
        ([0.1], "f4", [np.float32(0.1)]),
        (np.array([True]), "u1", [1]),
        (np.array([0, 1], "u8"), "?", [False, True]),
    ],
)
def test_what_is_kept(data, wanted, result):
    cast = cast_for_output(np.asarray(data), wanted, "RAW")
    np.testing.assert_array_equal(cast, np.array(result, wanted))
    assert cast.dtype == np.dtype(wanted)


def test_no_copy_where_none_is_needed():
    data = np.ones(3, np.float32)
    assert cast_for_output(data, "f4", "RAW") is data


@pytest.mark.parametrize(
    ("data", "wanted", "zeros"),
    [
        ([0.0, 0.9], "u1", True),
        ([-0.9, 0.0], "i4", True),
        ([0.0, 1.0], "u1", False),
        ([0.0, 0.0], "u1", False),
        ([0.0, 0.9], "f4", False),
        ([0.0, 0.9], "?", False),
        ([], "u1", False),
        ([0.0, np.nan], "u1", False),
    ],
)
def test_probabilities_that_nobody_scaled(data, wanted, zeros):
    assert becomes_zero(np.array(data, dtype=float), wanted) is zeros
    assert becomes_zero(np.array([0, 1]), wanted) is False


# -- with a scale ----------------------------------------------------------------------------------


@given(
    data=st.sampled_from(["u1", "i2", "i8", "u8", "f4", "f8"]).flatmap(
        lambda dtype: hnp.arrays(dtype, st.integers(0, 4))
    ),
    wanted=st.sampled_from(["u1", "i1", "u2", "i4", "u8", "i8"]),
    scale=st.one_of(st.integers(-300, 300).filter(bool), st.floats(0.01, 300)),
)
def test_the_nearest_integer_or_refused(data, wanted, scale):
    limits = np.iinfo(wanted)
    exact = [Fraction(v) * Fraction(scale) for v in data.tolist() if np.isfinite(v)]
    far = [value for value in exact if not limits.min - 0.4 <= value <= limits.max + 0.4]
    try:
        cast = cast_for_output(data, wanted, "PRED", scale)
    except ValueError:
        slack = 1 if max(map(abs, exact), default=0) < 2**50 else 2**12
        assert len(exact) < data.size or any(
            not limits.min + slack < value < limits.max - slack for value in exact
        )
        return
    assert not far
    assert cast.dtype == np.dtype(wanted)
    integers = data.dtype.kind in "iu" and scale == int(scale)
    for value, new in zip(exact, cast.tolist(), strict=True):
        assert abs(value - new) <= (0 if integers else 0.51 + abs(value) / 2**22)


def test_probabilities_become_bytes():
    given = np.array([0, 0.5 / 255 - 1e-6, 0.5 / 255 + 1e-6, 0.25, 1], np.float32)
    assert cast_for_output(given, "u1", "PRED", 255).tolist() == [0, 0, 1, 64, 255]


def test_large_integers_are_scaled_exactly():
    assert cast_for_output(np.array([2**62 + 1], "u8"), "u8", "IDS", 3)[0] == 3 * (2**62 + 1)
    assert cast_for_output(np.array([-3], "i1"), "i8", "IDS", -(2**60))[0] == 3 * 2**60


@pytest.mark.parametrize(
    ("data", "wanted", "scale", "text"),
    [
        (np.array([0.5, 1.01], "f4"), "u1", 255, "uint8 cannot hold"),
        (np.array([-0.5]), "u1", 255, "cannot hold"),
        (np.array([np.nan]), "u1", 255, "cannot hold"),
        (np.array([2**63], "u8"), "u8", 2, r"\[18446744073709551616, .* cannot hold"),
        (np.array([1e308]), "f8", 255, "become infinite times 255"),
        (np.array([1e38], "f4"), "f4", 255, "become infinite as float32"),
        (np.array([1j]), "u1", 2, "complex"),
    ],
)
def test_a_scale_that_is_too_large(data, wanted, scale, text):
    with pytest.raises(ValueError, match=text):
        cast_for_output(data, wanted, "PRED", scale)


def test_the_dtype_stays_where_none_is_asked_for():
    assert cast_for_output(np.array([0.5], "f4"), "f4", "PRED", 2).tolist() == [1]
