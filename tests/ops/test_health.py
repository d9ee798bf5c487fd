"""What is counted of voxels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from voxflow.ops.health import can_be_counted, health, repeated_sections

TYPES = ("uint8", "uint64", "int64", "float16", "float32", "float64")
OTHER_TYPES = ("int8", "uint16", "int32")
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)


def few(dtype):
    """Arrays that often repeat values, limits among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        values = st.sampled_from([0, 0.5, 1, -1, np.nan, np.inf, -np.inf])
    else:
        there = np.iinfo(dtype)
        values = st.sampled_from([there.min, there.max, 1, 0])
    return hnp.arrays(dtype, SHAPES, elements=values.map(dtype.type))


@st.composite
def images(draw, types=TYPES):
    image = draw(few(draw(st.sampled_from(types))))
    # also what does not lie in a row
    turned = image.T if draw(st.booleans()) else image
    return turned[::2] if draw(st.booleans()) else turned


def check_counts(image):
    found = health(image)
    assert found.voxels == image.size
    assert found.nan == np.count_nonzero(np.isnan(image))
    assert found.inf == np.count_nonzero(np.isinf(image))
    assert found.constant is bool((image == image.flat[0]).all())
    if image.dtype.kind == "f":
        assert (found.lowest, found.highest) == (0, 0)
    else:
        there = np.iinfo(image.dtype)
        assert found.lowest == np.count_nonzero(image == there.min)
        assert found.highest == np.count_nonzero(image == there.max)


@given(images())
def test_counts_of_a_type(image):
    check_counts(image)


@pytest.mark.slow  # each type is compiled
@given(images(OTHER_TYPES))
def test_counts_of_other_types(image):
    check_counts(image)


LIMITS = st.sampled_from(
    [-math.inf, -1e30, -1, -0.5, 0, 0.5, 1, 127, 254.5, 2**64 - 1, 1e30, math.inf]
)


@given(images(), st.lists(LIMITS, min_size=2, max_size=2, unique=True).map(sorted))
def test_counts_of_a_range(image, limits):
    if image.dtype == np.float16:
        limits = np.clip(limits, -6e4, 6e4)
    found = health(image, tuple(limits))
    values = [v.item() for v in image.flat]
    assert found.lowest == sum(v <= limits[0] for v in values)
    assert found.highest == sum(v >= limits[1] for v in values)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_many_voxels(dtype):
    # more than are counted at once, and a rest
    image = np.full(3 * 4096 + 5, 7, dtype)
    assert health(image).constant
    image[[0, 4095, 4096, -1]] = 0
    found = health(image, (0, 9))
    assert (found.lowest, found.highest, found.constant) == (4, 0, False)


def test_other_types():
    assert health(np.array([True, False])).lowest == 0
    assert health(np.array([1, 256], ">u2"), (1, 256)).highest == 1
    assert health(np.zeros((0, 3))).voxels == 0
    assert not can_be_counted(np.longdouble)
    with pytest.raises(TypeError, match="values of complex128 cannot be checked"):
        health(np.zeros(3, complex))


@given(images(), st.data())
def test_repeated_sections(image, data):
    axis = data.draw(st.integers(0, image.ndim - 1))
    sections = np.moveaxis(image, axis, 0).reshape(image.shape[axis], -1)
    channels = sections.reshape(image.shape[axis], int(np.prod(image.shape[:axis])), -1)
    wanted = [
        i
        for i in range(len(sections) - 1)
        if np.array_equal(sections[i], sections[i + 1], equal_nan=image.dtype.kind == "f")
        and any(len({v.tobytes() for v in channel}) > 1 for channel in channels[i])
    ]
    assert repeated_sections(image, axis) == wanted


def test_large_sections_that_differ_at_their_end():
    image = np.random.default_rng(0).integers(0, 9, (2, 3, 5000))
    image[:] = image[:, :1]
    assert repeated_sections(image, 1) == [0, 1]
    image[1, 2, -1] += 1
    assert repeated_sections(image, 1) == [0]
