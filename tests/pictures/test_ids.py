"""Colours of ids say the same in each picture."""

import colorsys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.pictures import colours_of_ids


@settings(max_examples=30)
@given(st.lists(st.integers(1, 2**64 - 2), min_size=1, max_size=30))
def test_a_colour_is_of_the_id_alone(ids):
    together = colours_of_ids(np.array(ids, np.uint64))
    for number, colour in zip(ids, together, strict=True):
        assert (colours_of_ids(np.array([number], np.uint64))[0] == colour).all()
        hue, light, saturation = colorsys.rgb_to_hls(*(colour / 255))
        assert 0.46 < light < 0.7
        assert saturation > 0.75
        assert 0 <= hue <= 1


def test_all_bits_of_an_id_count_and_its_type_does_not():
    bits = np.array([0, *(2**n for n in range(64))], np.uint64)
    assert len(np.unique(colours_of_ids(bits), axis=0)) == 65
    expected = colours_of_ids(np.array([1, 200], np.uint64))
    for dtype in ("u1", "i2", "i8", ">u4"):
        values = np.array([1, 200], np.int64).astype(dtype)
        np.testing.assert_array_equal(colours_of_ids(values), expected)
    negative = colours_of_ids(np.array([-5]))
    np.testing.assert_array_equal(negative, colours_of_ids(np.array([2**64 - 5], np.uint64)))


def test_background_is_black_and_others_differ():
    ids = np.array([0, 2**64 - 1, 1, 2, 2**63, 2**63 + 1], np.uint64)
    colours = colours_of_ids(ids)
    assert not colours[:2].any()
    assert len(np.unique(colours[2:], axis=0)) == 4
    assert colours_of_ids(np.uint64(7)).shape == (3,)
    assert len(np.unique(colours_of_ids(np.arange(1, 1001)), axis=0)) > 980
