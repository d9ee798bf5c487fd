"""Arrays as colours."""

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import voxflow as gp
from voxflow.inspect import Layer, colours_of_ids, draw_sheet, layer_of, overlay, section

RAMP = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)


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


def test_colours_do_not_depend_on_the_type():
    expected = colours_of_ids(np.array([1, 200], np.uint64))
    for dtype in ("u1", "i2", "i8", ">u4"):
        values = np.array([1, 200], np.int64).astype(dtype)
        np.testing.assert_array_equal(colours_of_ids(values), expected)


def test_background_is_black_and_neighbours_differ():
    ids = np.array([0, 2**64 - 1, 1, 2, 2**63, 2**63 + 1], np.uint64)
    colours = colours_of_ids(ids)
    assert not colours[:2].any()
    assert len(np.unique(colours[2:], axis=0)) == 4
    assert colours_of_ids(np.uint64(7)).shape == (3,)


def test_a_section_is_at_a_world_position():
    layer = Layer("raw", RAMP, (10.0, 2.0, 2.0), (100.0, 0.0, 0.0))
    np.testing.assert_array_equal(section(layer, position=119.9)[..., 0], RAMP[1])
    np.testing.assert_array_equal(section(layer, position=120)[..., 0], RAMP[2])
    np.testing.assert_array_equal(section(layer, 1, 3)[..., 1], RAMP[:, 1])
    np.testing.assert_array_equal(section(layer, 2)[..., 2], RAMP[:, :, 3])
    with pytest.raises(ValueError, match="raw has no section at 140"):
        section(layer, position=140)


def test_channels_are_colours():
    data = np.stack([RAMP, RAMP + 1, RAMP + 2, RAMP + 3])
    picture = section(Layer("raw", data, (1.0,) * 3, (0.0,) * 3), position=0)
    np.testing.assert_array_equal(picture, np.moveaxis(data[:3, 0], 0, -1))
    affinities = Layer("affs", data[:2] / 255.0, (1.0,) * 3, (0.0,) * 3, "affinities")
    np.testing.assert_array_equal(section(affinities, position=0)[..., 2], RAMP[0])


def test_values_of_any_range_are_drawn():
    data = np.array([[-1.0, 0, 1], [np.nan, np.inf, 0.5]])
    picture = section(Layer("x", data, (1.0, 1.0), (0.0, 0.0)))
    assert picture[0, :, 0].tolist() == [0, 128, 255]
    limited = section(Layer("x", data, (1.0, 1.0), (0.0, 0.0)), limits=(0, 0.5))
    assert limited[0, :, 0].tolist() == [0, 0, 255]
    flat = section(Layer("x", np.full((2, 2), 7.0), (1.0, 1.0), (0.0, 0.0)))
    assert not flat.any()


def test_an_overlay_leaves_out_black():
    base = np.full((1, 2, 3), 100, np.uint8)
    colours = np.array([[[0, 0, 0], [200, 0, 0]]], np.uint8)
    assert overlay(base, colours, 0.5).tolist() == [[[100, 100, 100], [150, 50, 50]]]


def test_a_sheet_has_everything_at_its_place():
    raw = Layer("raw", RAMP, (10.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    ids = np.zeros((4, 2, 3), np.uint64)
    ids[:, 1] = 2**63 + 1
    labels = Layer("labels", ids, (10.0, 2.0, 2.0), (0.0, 2.0, 4.0), "labels")
    picture = np.asarray(draw_sheet([("one", [raw, labels]), ("two", [raw])], height=50))
    top, left = 8 + 36, 8
    tile = picture[top : top + 50 : 10, left : left + 60 : 10]
    np.testing.assert_array_equal(tile[..., 0], RAMP[2])
    colour = colours_of_ids(np.array([2**63 + 1], np.uint64))[0]
    left += 60 + 8
    assert (picture[top + 15, left : left + 30] == colour).all()
    assert not picture[top + 5, left : left + 30].any()
    left += 30 + 8  # labels over the raw image, voxel for voxel
    both = picture[top : top + 50 : 10, left : left + 60 : 10]
    expected = np.repeat(RAMP[2][..., None], 3, axis=-1)
    expected[2, 2:5] = overlay(expected[2:3, 2:5], np.tile(colour, (1, 3, 1)))
    np.testing.assert_array_equal(both, expected)


def test_an_array_of_a_batch():
    key = gp.ArrayKey("RAW")
    spec = gp.ArraySpec(gp.Roi((8, 4), (10, 12)), voxel_size=(2, 2))
    layer = layer_of(str(key), gp.Array(RAMP[:, :, :6], spec))
    assert (layer.extent, layer.offset, layer.voxel_size) == ((5, 6), (8.0, 4.0), (2.0, 2.0))
    spec = gp.ArraySpec(voxel_size=None)
    assert layer_of("x", gp.Array(RAMP, spec)).voxel_size == (1.0, 1.0, 1.0)
