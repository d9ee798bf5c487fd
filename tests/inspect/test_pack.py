"""Arrays packed for the page."""

import zlib

import numpy as np
import pytest

from voxflow.inspect.pack import fit, pack
from voxflow.pictures import Layer

TOP = 2**64 - 1


def layer(data, guess="image", dims=3):
    return Layer("x", np.asarray(data), (40.0, 4.0, 4.0)[-dims:], (0.0,) * dims, guess)


def test_bytes_are_kept_as_they_are():
    data = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    packed = pack(layer(data))
    assert packed.exact
    assert zlib.decompress(packed.deflated()) == data.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "uint16", "complex64"])
def test_other_values_become_brightness(dtype):
    data = np.linspace(0, 1000, 24).reshape(2, 3, 4).astype(dtype)
    packed = pack(layer(data))
    assert not packed.exact
    values = packed.low + packed.codes[0] * (packed.high - packed.low) / 255
    assert np.abs(values - np.abs(data)).max() <= 1000 / 255 + 1


def test_affinities_keep_0_and_1():
    packed = pack(layer(np.full((3, 2, 3, 4), 0.5, np.float32), "affinities"))
    assert (packed.low, packed.high) == (0, 1)
    assert packed.codes.shape == (3, 2, 3, 4)
    assert (packed.codes == 128).all()


def test_what_is_not_finite_does_no_harm():
    packed = pack(layer([[[np.nan, np.inf], [-np.inf, 1.0]]]))
    assert packed.high > packed.low
    assert pack(layer(np.full((1, 2, 2), np.nan))).codes.max() == 0


@pytest.mark.parametrize("count", [3, 300, 70000])
def test_ids_are_exact(count):
    ids = np.arange(TOP - count + 1, TOP, dtype=np.uint64)
    packed = pack(layer(np.append(ids, np.array([0, TOP], np.uint64)).reshape(1, 1, -1), "labels"))
    assert packed.codes.dtype.itemsize == (1 if count < 256 else 2 if count < 65536 else 4)
    assert (packed.ids[packed.codes[0, 0, 0]] == packed.layer.data[0, 0]).all()
    assert zlib.decompress(packed.ids_bytes()) == packed.ids.astype("<u8").tobytes()


def test_negative_ids_are_their_two_s_complement():
    packed = pack(layer(np.array([[[-5, 7]]], np.int32), "labels"))
    assert packed.signed
    assert packed.ids.view(np.int64).tolist() == [-5, 7]


def test_what_does_not_fit_is_made_coarser_along_its_finest_axis():
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32), np.uint8)
    large, small = pack(layer(noise)), pack(layer(noise[:2, :4, :4]))
    labels = pack(layer(np.zeros((8, 32, 32), np.uint64), "labels"))
    blobs = fit([large, small, labels], 3000)
    assert sum(len(codes) + len(ids) for codes, ids in blobs) <= 3000
    assert (large.factors, large.voxel_size) == ([1, 2, 2], [40.0, 8.0, 8.0])
    assert (small.factors, labels.factors) == ([1, 1, 1], [1, 1, 1])
    mean = noise.reshape(8, 16, 2, 16, 2).mean((2, 4))
    assert np.abs(large.codes[0] - mean).max() <= 1


def test_nothing_is_left_to_make_coarser():
    blobs = fit([pack(layer(np.zeros((1, 1, 1), np.uint8)))], 0)
    assert len(blobs) == 1


def test_ids_that_are_no_longer_there_take_no_room():
    ids = np.random.default_rng(0).integers(1, TOP, (1, 64, 64), np.uint64)
    packed = pack(layer(ids, "labels"))
    ((codes, known),) = fit([packed], 6000)
    assert len(codes) + len(known) <= 6000
    _, y, x = packed.factors
    assert x * y > 4
    np.testing.assert_array_equal(packed.ids[packed.codes[0]], ids[:, ::y, ::x])
