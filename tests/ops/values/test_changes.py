import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxflow.ops.values import Clip, Contrast, Gamma, Round, Scale, range_after
from voxflow.ops.values.changes import applied, fused, packed, segments

NUMBERS = st.floats(-4, 4, width=32)
POINTWISE = st.one_of(
    st.builds(Scale, NUMBERS, NUMBERS),
    st.builds(lambda a, b: Clip(min(a, b), max(a, b)), NUMBERS, NUMBERS),
    st.just(Round()),
    st.builds(Gamma, st.sampled_from([0.5, 1.0, 2.0])),
)


def test_scalings_in_a_row_are_one():
    assert fused([Scale(2.0, 1.0), Scale(3.0), Clip(0, 1), Scale(2.0)]) == [
        Scale(6.0, 3.0),
        Clip(0, 1),
        Scale(2.0),
    ]
    assert fused([Scale(1.0)]) == []


def test_what_the_kernels_read():
    assert packed([]).shape == (0, 3)
    assert packed([Round(), Scale(2.0, 5.0), Clip(0.0, 1.0), Gamma(0.5)]).tolist() == [
        [0, 0, 0],
        [1, 2, 5],
        [2, 0, 1],
        [3, 0.5, 0],
    ]


@given(st.lists(st.builds(Scale, NUMBERS, NUMBERS), max_size=4), NUMBERS)
def test_fused_scalings_do_the_same(changes, value):
    assert applied(fused(changes), value) == pytest.approx(applied(changes, value), abs=1e-3)


def test_contrast_cuts_the_changes():
    contrast = Contrast((1,), np.ones(1), np.zeros(1))
    assert segments([Scale(2.0), contrast, Clip(0, 1), contrast]) == [
        (None, [Scale(2.0)]),
        (contrast, [Clip(0, 1)]),
        (contrast, []),
    ]


@given(st.lists(POINTWISE, max_size=4), st.lists(st.integers(0, 255), min_size=1, max_size=20))
def test_values_stay_within_the_range_that_is_foretold(changes, values):
    low, high = range_after(changes, (0, 255), np.dtype(np.float32))
    for value in values:
        after = np.float32(value)
        for change in changes:
            if isinstance(change, Gamma) and after < 0:
                return  # not a number, of which nothing is foretold
            after = np.float32(applied([change], float(after)))
        assert low - 1e-3 * abs(low) - 1e-3 <= after <= high + 1e-3 * abs(high) + 1e-3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([Scale(1 / 255)], (0, 1)),
        ([Scale(-1.0, 1.0)], (-254, 1)),
        ([Contrast((1,), np.ones(1), np.zeros(1))], (-math.inf, math.inf)),
        ([Contrast((1,), np.ones(1), np.zeros(1)), Clip(0, 1)], (0, 1)),
        ([Scale(1 / 255), Gamma(2.0)], (0, 1)),
        ([Scale(1.0, -1.0), Gamma(2.0)], (-math.inf, math.inf)),
        ([Round()], (0, 255)),
    ],
)
def test_ranges(changes, expected):
    assert range_after(changes, (0, 255), np.dtype(np.float32)) == expected


def test_nothing_is_known_of_what_has_no_bounds():
    unknown = (-math.inf, math.inf)
    assert range_after([Scale(-2.0, 1.0)], unknown, np.dtype(np.float64)) == unknown
    assert range_after([Gamma(0.5)], unknown, np.dtype(np.float64)) == unknown


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_normalised_integers_are_known_to_end_at_one(dtype):
    top = np.iinfo(dtype).max
    assert range_after([Scale(1 / top)], (0, top), np.dtype(np.float32)) == (0, 1)


def test_axes_come_and_go():
    contrast = Contrast((2, 3), np.ones((4, 5)), np.zeros((4, 5)))
    more = contrast.with_axis(1)
    assert (more.pieces, more.scale.shape) == ((2, 1, 3), (4, 1, 5))
    less = more.without_axis(1)
    assert (less.pieces, less.shift.shape) == ((2, 3), (4, 5))
