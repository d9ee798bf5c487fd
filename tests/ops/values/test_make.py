"""Changes of values beside plain numpy in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.values import Clip, Contrast, Gamma, Round, Scale, changed
from voxflow.ops.values.make import work_type


def plain(data, changes):
    """The same, one array after the other."""
    values = data.astype(np.float64)
    for change in changes:
        if isinstance(change, Scale):
            values = values * change.scale + change.shift
        elif isinstance(change, Clip):
            values = np.clip(values, change.low, change.high)
        elif isinstance(change, Gamma):
            values = values**change.exponent
        elif isinstance(change, Round):
            values = np.floor(values + 0.5)
        else:
            for index in np.ndindex(*change.scale.shape):
                cut = tuple(
                    slice(i * size, (i + 1) * size)
                    for i, size in zip(index, change.pieces, strict=True)
                )
                part = values[cut]
                mean = part.mean()
                values[cut] = mean + (part - mean) * change.scale[index] + change.shift[index]
    return values


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=6)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(["u1", "u2", "i4", "f2", "f4", "f8", "bool", ">u2", "i1"]))
    data = (rng.random(shape) * 100).astype(dtype)
    axes = draw(st.permutations(range(len(shape))))
    flips = [axis for axis in axes if draw(st.booleans())]
    view = np.flip(data, flips).transpose(axes)

    def contrast():
        pieces = tuple(draw(st.integers(1, n)) for n in view.shape)
        counts = [-(-n // size) for n, size in zip(view.shape, pieces, strict=True)]
        return Contrast(pieces, rng.uniform(0.5, 1.5, counts), rng.uniform(-1, 1, counts))

    kinds = draw(st.lists(st.sampled_from(["scale", "clip", "round", "contrast"]), max_size=4))
    make = {
        "scale": lambda: Scale(rng.uniform(-2, 2), rng.uniform(-2, 2)),
        "clip": lambda: Clip(rng.uniform(-9, 9), rng.uniform(9, 50)),
        "round": Round,
        "contrast": contrast,
    }
    return view, [make[kind]() for kind in kinds]


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from(["f4", "f8"]), st.sampled_from(["none", "plain", "turned"]))
def test_agrees_with_numpy(case, dtype, into):
    data, changes = case
    want = plain(data, changes)
    out = None
    if into != "none":
        out = (
            np.full(data.shape[::-1], 7, dtype).T
            if into == "turned"
            else np.empty(data.shape, dtype)
        )
    before = data.copy()
    got = changed(data, changes, dtype, out)
    assert got.dtype == dtype
    assert out is None or got is out
    assert not np.shares_memory(got, data)
    np.testing.assert_array_equal(data, before)
    if not any(isinstance(c, Round) for c in changes):  # a half may fall on either side
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-4)
    else:
        assert np.mean(np.abs(got - want) > 1e-3) < 0.2


def test_rounding_goes_upwards():
    data = np.array([0.5, 1.5, -0.5, 2.49])
    np.testing.assert_array_equal(changed(data, [Round()], "f8"), [1, 2, 0, 2])


def test_gamma():
    data = np.array([0, 25, 100], "u1")
    np.testing.assert_allclose(changed(data, [Gamma(0.5)], "f4"), [0, 5, 10], rtol=1e-6)


def test_not_a_number_stays_one():
    data = np.array([np.nan, 2.0, -1.0], np.float32)
    np.testing.assert_array_equal(changed(data, [Clip(0, 1)], "f4"), [np.nan, 1, 0])


def test_the_mean_of_many_values_is_exact():
    data = np.full((64, 300, 300), 0.1, np.float32)
    data[0, 0, 0] = 1
    contrast = Contrast(data.shape, np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))
    got = changed(data, [contrast], "f4")
    np.testing.assert_allclose(got, data.mean(dtype=np.float64), rtol=1e-7)


def test_rows_longer_than_a_block():
    rng = np.random.default_rng(0)
    data = rng.integers(0, 255, (2, 5000), np.uint8)
    changes = [Scale(0.5, 1.0), Contrast((1, 5000), np.ones((2, 1)) * 2, np.zeros((2, 1)))]
    for view in (data, data[:, ::-1], data[:, ::2]):
        fitting = [changes[0], Contrast((1, view.shape[1]), *[np.ones((2, 1)) * v for v in (2, 0)])]
        np.testing.assert_allclose(changed(view, fitting, "f4"), plain(view, fitting), atol=1e-4)


def test_nothing_to_do_and_nothing_there():
    np.testing.assert_array_equal(changed(np.arange(3), [], "f4"), [0, 1, 2])
    assert changed(np.zeros((0, 4), "u1"), [Scale(2.0)], "f4").shape == (0, 4)


@pytest.mark.parametrize(
    ("data", "result", "work"),
    [
        ("u1", "f4", "f4"),
        ("u2", "f2", "f4"),
        ("f2", "f4", "f4"),
        ("i4", "f4", "f8"),
        ("u1", "f8", "f8"),
        ("f8", "f4", "f8"),
        ("bool", "f4", "f4"),
    ],
)
def test_what_is_computed_in(data, result, work):
    assert work_type(np.dtype(data), np.dtype(result)) == work


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("beside", ["u1", "V11"])
def test_fields_of_structures_are_read_where_they_lie(dtype, beside):
    whole = np.zeros((3, 5, 7), [("weight", dtype), ("beside", beside)])
    whole["weight"] = np.arange(105).reshape(3, 5, 7)
    made = changed(whole["weight"], [Scale(0.5, 1)], np.float64)
    np.testing.assert_array_equal(made, np.arange(105).reshape(3, 5, 7) * 0.5 + 1)
