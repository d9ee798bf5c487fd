"""What is to be drawn, and sections of it."""

import numpy as np
import pytest

import voxflow as gp
from voxflow.pictures import Layer, guess_style, layer_of, section
from voxflow.pipeline.data import Array
from voxflow.pipeline.data.kinds import Affinities, Vectors

BYTES = (0.0, 255.0)
RAMP = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)


def test_a_section_is_at_a_world_position():
    layer = Layer("raw", RAMP, (10.0, 2.0, 2.0), (100.0, 0.0, 0.0))
    np.testing.assert_array_equal(section(layer, position=119.9, limits=BYTES)[..., 0], RAMP[1])
    np.testing.assert_array_equal(section(layer, position=120, limits=BYTES)[..., 0], RAMP[2])
    np.testing.assert_array_equal(section(layer, 1, 3, BYTES)[..., 1], RAMP[:, 1])
    np.testing.assert_array_equal(section(layer, 2, limits=BYTES)[..., 2], RAMP[:, :, 3])
    with pytest.raises(ValueError, match="raw has no section at 140"):
        section(layer, position=140)


def test_channels_are_colours():
    data = np.stack([RAMP, RAMP + 1, RAMP + 2, RAMP + 3])
    picture = section(Layer("raw", data, (1.0,) * 3, (0.0,) * 3), position=0)
    np.testing.assert_array_equal(picture, np.moveaxis(data[:3, 0], 0, -1))
    affinities = Layer("affs", data[:2] / 255.0, (1.0,) * 3, (0.0,) * 3, "affinities")
    picture = section(affinities, position=0)
    np.testing.assert_array_equal(picture[..., 1], RAMP[0] + 1)
    assert not picture[..., 2].any()


def test_values_of_any_range_are_drawn():
    data = np.array([[-1.0, 0, 1], [np.nan, np.inf, 0.5]])
    picture = section(Layer("x", data, (1.0, 1.0), (0.0, 0.0)))
    assert picture[0, :, 0].tolist() == [0, 127, 255]
    assert picture[1, :2].tolist() == [[255, 0, 255], [255, 255, 255]]
    limited = section(Layer("x", data, (1.0, 1.0), (0.0, 0.0)), limits=(0, 0.5))
    assert limited[0, :, 0].tolist() == [0, 0, 255]
    flat = section(Layer("x", np.full((2, 2), 7.0), (1.0, 1.0), (0.0, 0.0)))
    assert not flat.any()


def test_an_array_of_a_batch():
    key = gp.ArrayKey("RAW")
    spec = gp.ArraySpec(gp.Roi((8, 4), (10, 12)), voxel_size=(2, 2))
    layer = layer_of(str(key), gp.Array(RAMP[:, :, :6], spec))
    assert (layer.extent, layer.offset, layer.voxel_size) == ((5, 6), (8.0, 4.0), (2.0, 2.0))
    spec = gp.ArraySpec(voxel_size=None)
    assert layer_of("x", gp.Array(RAMP, spec)).voxel_size == (1.0, 1.0, 1.0)


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(ValueError, match="raw cannot be shown as 'gray': take one of image, rgb"):
        Layer("raw", RAMP, (1.0,) * 3, (0.0,) * 3, "gray")
    with pytest.raises(ValueError, match="raw has 3 axes, a voxel size of 4"):
        Layer("raw", RAMP, (1.0,) * 4, (0.0,) * 4)
    with pytest.raises(ValueError, match="a voxel size of 2, and an offset of 3"):
        Layer("raw", RAMP, (1.0,) * 2, (0.0,) * 3)


@pytest.mark.parametrize(
    ("name", "dtype", "options", "style"),
    [
        ("RAW", np.float32, {}, "image"),
        ("RAW", np.uint8, {}, "image"),
        ("RAW", np.uint16, {"interpolatable": True}, "image"),
        ("LABELS", np.uint64, {}, "labels"),
        ("LABELS", np.uint8, {"interpolatable": False}, "labels"),
        ("labels", np.uint8, {}, "labels"),
        ("GT_MASK", np.uint8, {}, "mask"),
        ("ANY", bool, {}, "mask"),
        ("GT_AFFS", np.float32, {}, "affinities"),
        ("ANY", np.uint8, {"kind": Affinities([(1, 0), (0, 1)])}, "affinities"),
        ("AFFS_WEIGHTS", np.float32, {}, "rgb"),
        ("ANY", np.float32, {"kind": Vectors()}, "vectors"),
        ("AFFINE", np.float32, {"voxel_size": (1, 1, 1)}, "image"),
        ("LOSS_WEIGHTS", np.float32, {}, "weights"),
    ],
)
def test_a_style_is_guessed(name, dtype, options, style):
    array = Array(np.zeros((2, 3, 3), dtype), gp.ArraySpec(**{"voxel_size": (1, 1), **options}))
    assert guess_style(name, array) == style
