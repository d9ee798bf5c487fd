"""Voxels with a place."""

import pickle

import funlib.geometry
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import voxflow as gp
from tests.helpers import ramp
from voxflow.pipeline.data.array import is_off_grid, off_grid
from voxflow.testing.strategies import rois_on_grid, voxel_sizes

SPEC = gp.ArraySpec(gp.Roi((0, 8), (8, 8)), (2, 4))


def test_lists_become_arrays():
    array = gp.Array([[1, 2]] * 4, SPEC)
    assert isinstance(array.data, np.ndarray)
    assert array.attrs == {}


def test_no_spec_says_nothing():
    assert gp.Array([1, 2]).spec == gp.ArraySpec()


def test_the_spec_is_copied():
    spec = SPEC.copy()
    array = gp.Array(np.zeros((4, 2)), spec)
    spec.roi = None
    assert array.spec == SPEC


def test_channels_lead():
    assert gp.Array(np.zeros((3, 5, 4, 2)), SPEC).data.shape == (3, 5, 4, 2)


@pytest.mark.parametrize("shape", [(4, 3), (2, 4), (4,), (), (4, 2, 3), (2, 4, 1)])
def test_data_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"data of shape .* the last 2 axes have to be \(4, 2\)"):
        gp.Array(np.zeros(shape), SPEC)


def test_data_of_another_dtype():
    with pytest.raises(ValueError, match="data are float64, but the spec says uint8"):
        gp.Array(np.zeros((4, 2)), gp.ArraySpec(SPEC.roi, SPEC.voxel_size, dtype="uint8"))


@pytest.mark.parametrize("roi", [gp.Roi((1, 8), (8, 8)), gp.Roi((0, 8), (7, 8))])
def test_off_the_grid(roi):
    with pytest.raises(ValueError, match=r"is not on the voxel grid of \(2, 4\)"):
        gp.Array(np.zeros((4, 2)), gp.ArraySpec(roi, (2, 4)))


def test_unknown_places_are_not_checked():
    gp.Array(np.zeros(3), gp.ArraySpec(gp.Roi((0,), (10,))))
    gp.Array(np.zeros(3), gp.ArraySpec(voxel_size=(10,)))
    gp.Array(np.zeros(3), gp.ArraySpec(gp.Roi((None,), (None,)), (10,)))
    gp.Array(np.array(5), gp.ArraySpec(nonspatial=True))


def test_copies_share_nothing():
    array = gp.Array(np.zeros((4, 2)), SPEC, {"a": [1]})
    for made in (array.copy(), pickle.loads(pickle.dumps(array))):
        made.data[:] = 1
        made.attrs["a"].append(2)
        made.spec.roi = None
        assert array.data.sum() == 0
        assert array.attrs == {"a": [1]}
        assert array.spec == SPEC


def test_merge_is_not_there():
    array = gp.Array([1])
    with pytest.raises(NotImplementedError):
        array.merge(array)


def test_repr():
    assert repr(gp.Array([[1, 2]] * 4, SPEC)) == repr(SPEC)


# -- crop -----------------------------------------------------------------------------------------


@given(st.data())
def test_crop_moves_no_voxel(data):
    voxel_size = data.draw(voxel_sizes())
    outer = data.draw(rois_on_grid(voxel_size, most=5))
    begin, end = [], []
    for b, n in zip(outer.offset / voxel_size, outer.shape / voxel_size, strict=True):
        low = data.draw(st.integers(0, n - 1))
        begin.append(b + low)
        end.append(data.draw(st.integers(low + 1, n)) - low)
    inner = gp.Roi(begin, end) * voxel_size
    array = gp.Array(ramp(outer, voxel_size), gp.ArraySpec(outer, voxel_size))
    cropped = array.crop(inner)
    assert cropped.spec == gp.ArraySpec(inner, voxel_size)
    np.testing.assert_allclose(cropped.data, ramp(inner, voxel_size), rtol=1e-12, atol=1e-9)


def test_crop_copies_or_not():
    array = gp.Array(np.zeros((3, 4, 2)), SPEC, {"a": 1})
    inner = gp.Roi((2, 8), (4, 4))
    assert not np.shares_memory(array.crop(inner).data, array.data)
    assert not np.shares_memory(array.crop(SPEC.roi).data, array.data)
    assert np.shares_memory(array.crop(inner, copy=False).data, array.data)
    assert array.crop(SPEC.roi, copy=False) is array
    assert array.crop(inner).attrs == {"a": 1}
    assert array.spec == SPEC


def test_crop_takes_any_region():
    array = gp.Array(ramp(SPEC.roi, SPEC.voxel_size), SPEC)
    cropped = array.crop(funlib.geometry.Roi((2, 8), (4, 4)))
    assert type(cropped.spec.roi) is gp.Roi
    np.testing.assert_array_equal(cropped.data, ramp(gp.Roi((2, 8), (4, 4)), (2, 4)))


def test_crop_outside():
    array = gp.Array(np.zeros((4, 2)), SPEC)
    with pytest.raises(ValueError, match=r"the array covers \[0:8, 8:16\].*does not contain \[0:8"):
        array.crop(gp.Roi((0, 8), (8, 12)))


def test_crop_off_the_grid_is_said_in_world_units():
    array = gp.Array(np.zeros((4, 2)), SPEC)
    with pytest.raises(ValueError, match=r"^\[1:3, 8:12\] \(2, 4\) is not on the voxel grid"):
        array.crop(gp.Roi((1, 8), (2, 4)))


def test_crop_without_a_place():
    with pytest.raises(ValueError, match="without roi and voxel size has no part"):
        gp.Array([1]).crop(gp.Roi((0,), (1,)))


# -- the grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roi", "off"),
    [
        (gp.Roi((0, 0), (49, 8)), False),
        (gp.Roi((-9.8, 4), (9.8, 4)), False),
        (gp.Roi((1, 4), (9.8, 4)), True),
        (gp.Roi((0, 4), (9.8, 5)), True),
        (gp.Roi((None, 4), (None, 4)), False),
        (gp.Roi((None, 5), (None, 4)), True),
        (gp.Roi((None, None), (0, 0)), False),
    ],
)
def test_is_off_grid(roi, off):
    assert is_off_grid(roi, gp.Coordinate(9.8, 4)) is off


def test_the_nearest_regions_are_named():
    assert off_grid(gp.Roi((3,), (10,)), gp.Coordinate(4)) == (
        "[3:13] (10) is not on the voxel grid of (4,) (world units); the nearest regions on it: "
        "[0:16] (16) outside, [4:12] (8) inside"
    )
    assert off_grid(gp.Roi((1,), (2,)), gp.Coordinate(4)).endswith("on it: [0:4] (4) outside")


def test_a_size_that_fits_is_moved():
    assert off_grid(gp.Roi((-3, 4.9), (8, 9.8)), gp.Coordinate(4, 9.8)).endswith(
        "[-4:8, 0:19.6] (12, 19.6) outside, [-4:4, 0:9.8] (8, 9.8) of the same size"
    )


@pytest.mark.parametrize(
    "roi",
    [
        gp.Roi((0, 0), (9.8 * 6, 4)),
        gp.Roi((0.1 * 3 - 0.3, 0), (58.8, 4)),
        gp.Roi((0, 0), (float(np.float32(9.8)) * 6, 4)),
    ],
)
def test_rounding_is_named(roi):
    text = off_grid(roi, gp.Coordinate(9.8, 4))
    assert "only because of rounding in floating point: [0:58.8, 0:4] (58.8, 4) was meant" in text
    remedy = text.partition("as in ")[2]
    assert remedy == "Coordinate(9.8, 4) * Coordinate(6, 1)"
    made = eval(remedy, {"Coordinate": gp.Coordinate})
    assert made == gp.Coordinate(58.8, 4)


def test_off_by_a_thousandth_is_no_rounding():
    assert "rounding" not in off_grid(gp.Roi((0,), (58.81,)), gp.Coordinate(9.8))
