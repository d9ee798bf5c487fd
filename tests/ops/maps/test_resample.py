import numpy as np
import pytest
import spatial_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from spatial_reference import Region

from tests.ops.random_maps import cases, make_map, voxels
from voxflow.ops.maps.affine import Affine, mirror_transpose, rotation
from voxflow.ops.maps.compose import Compose
from voxflow.ops.maps.displacement import ControlPointDisplacement


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([(), (2,), (2, 3)]), st.sampled_from(["f4", "f8"]))
def test_linear_agrees_with_the_reference(case, lead, dtype):
    spatial_map, offset, size, shape, rng = case
    begin, end = spatial_map.source(Region(offset, tuple(np.multiply(shape, size))), size)
    data = rng.random((*lead, *voxels((begin, end), size))).astype(dtype)
    got = spatial_map.resample(data, begin, size, offset, shape, fill=-1)
    want = reference.resample(spatial_map, data, begin, size, offset, shape, "linear", -1)
    assert got.dtype == data.dtype
    assert got.min() >= 0, "something outside of the source region was read"
    np.testing.assert_allclose(got, want, atol=1e-5, rtol=0)


def check_integers(case, dtype):
    spatial_map, offset, size, shape, rng = case
    begin, end = spatial_map.source(Region(offset, tuple(np.multiply(shape, size))), size)
    limits = np.iinfo(dtype)
    span = voxels((begin, end), size)
    data = rng.integers(limits.min, limits.max, span, np.int64, endpoint=True).astype(dtype)
    got = spatial_map.resample(data, begin, size, offset, shape)
    want = reference.resample(spatial_map, data, begin, size, offset, shape, "linear")
    assert got.dtype == data.dtype
    tolerance = 0.5 + 1e-6 * (float(limits.max) - float(limits.min))
    assert np.abs(got.astype(float) - want).max() <= tolerance


@settings(max_examples=30, deadline=None)
@given(cases(), st.sampled_from(["u1", "i4", ">u2"]))
def test_linear_keeps_integers_and_rounds(case, dtype):
    check_integers(case, dtype)


@pytest.mark.slow  # each type is compiled
@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from(["i1", "i2", "u2", "u1", "i4"]))
def test_linear_keeps_integers_of_all_types(case, dtype):
    check_integers(case, dtype)


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["u1", "i8", "u8", ">u8", "bool", "f4", "c8", "i2"]))
def test_nearest_is_bit_equal_away_from_ties(case, dtype):
    spatial_map, offset, size, shape, rng = case
    region = Region(offset, tuple(np.multiply(shape, size)))
    begin, end = spatial_map.source(region, size, "nearest")
    raw = rng.integers(0, 2**64 - 1, voxels((begin, end), size), np.uint64, endpoint=True)
    data = raw % 2 == 0 if dtype == "bool" else raw.astype(dtype)
    got = spatial_map.resample(data, begin, size, offset, shape, order="nearest")
    want = reference.resample(spatial_map, data, begin, size, offset, shape, "nearest")
    index = reference.source_index(spatial_map, begin, size, offset, shape)
    tie = (np.abs(index - np.floor(index) - 0.5) < 1e-5).any(0)
    assert got.dtype == data.dtype
    np.testing.assert_array_equal(got[~tie], want[~tie])


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from(["linear", "nearest"]))
def test_what_lies_outside_is_filled(case, order):
    spatial_map, offset, size, shape, rng = case
    begin, end = spatial_map.source(Region(offset, tuple(np.multiply(shape, size))), size, order)
    data = rng.random(voxels((begin, end), size)).astype("f4") + 1
    keep = tuple(slice(0, max(1, n - 2)) for n in data.shape)
    data = data[keep]
    got = spatial_map.resample(data, begin, size, offset, shape, order=order, fill=0.25)
    index = reference.source_index(spatial_map, begin, size, offset, shape)
    column = (-1,) + (1,) * len(shape)
    distance = np.minimum(index + 0.5, np.reshape(data.shape, column) - 0.5 - index).min(0)
    assert (got[distance < -1e-4] == 0.25).all()
    assert (got[distance > 1e-4] >= 1 - 1e-6).all()


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from(["linear", "nearest"]))
def test_the_source_region_is_tight_and_sufficient(case, order):
    spatial_map, offset, size, shape, _ = case
    begin, end = spatial_map.source(Region(offset, tuple(np.multiply(shape, size))), size, order)
    index = reference.source_index(spatial_map, begin, size, offset, shape).reshape(len(shape), -1)
    n = np.array(voxels((begin, end), size))
    low, high = index.min(1), index.max(1)
    slack = 1e-4
    if order == "linear":
        assert (low >= -slack).all()
        assert (high <= n - 1 + slack).all()
    else:
        assert (low >= -0.5 - slack).all()
        assert (high <= n - 0.5 + slack).all()
    assert (low < 2).all()
    assert (high > n - 3).all()


@pytest.mark.parametrize("seed", range(12))
def test_the_source_region_of_large_fields_is_found_from_few_rows(seed):
    rng = np.random.default_rng(seed)
    shape, size = (12, 90, 110), (40, 4, 4)
    points = rng.normal(0, 30, (3, 3, 4, 4))
    extent = np.multiply(shape, size)
    bend = ControlPointDisplacement(points, (0, 0, 0), extent)
    maps = [bend, rotation(rng.uniform(0, 1.5), extent / 2)]
    if seed % 3 == 1:
        maps.insert(0, make_map("sections", rng, (0, 0, 0), size, shape))
    if seed % 3 == 2:
        maps.insert(0, mirror_transpose(extent / 2, (False, True, True)))
    spatial_map = Compose(maps)
    begin, end = spatial_map.source(Region((0, 0, 0), tuple(extent)), size)
    index = reference.source_index(spatial_map, begin, size, (0, 0, 0), shape).reshape(3, -1)
    n = np.array(voxels((begin, end), size))
    assert (index.min(1) >= -1e-4).all()
    assert (index.max(1) <= n - 1 + 1e-4).all()
    assert (index.min(1) < 1.9).all()
    assert (index.max(1) > n - 2.9).all()


@pytest.mark.parametrize("seed", range(6))
def test_reach_holds_every_source_position(seed):
    rng = np.random.default_rng(seed)
    bend = ControlPointDisplacement(rng.normal(0, 30, (2, 4, 4)), (0, 0), (200, 200))
    maps = [bend, rotation(0.5, (100, 100)), make_map("sections", rng, (0, 0), (10, 10), (20, 20))]
    spatial_map = Compose(maps if seed % 2 else [*maps, bend])
    low, high = spatial_map.reach((30, 40), (180, 150))
    places = rng.uniform((30, 40), (180, 150), (20_000, 2))
    source = reference.pull(spatial_map, places.T).T
    assert (source >= low).all()
    assert (source <= high).all()
    if seed % 2:
        assert (source.min(0) - low < 8).all()
        assert (high - source.max(0) < 8).all()


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_voxel_sizes_stay_registered_under_one_affine_map(ndim):
    rng = np.random.default_rng(ndim)
    matrix = np.eye(ndim) + rng.uniform(-0.2, 0.2, (ndim, ndim))
    spatial_map = Affine(matrix, [100.0] * ndim, rng.uniform(-3, 3, ndim))
    for size in (4.0, 8.0, 12.0):
        ramp_holds(spatial_map, (48.0,) * ndim, (size,) * ndim, (int(96 // size),) * ndim, 1e-4)


def test_voxel_sizes_stay_registered_under_one_elastic_map():
    rng = np.random.default_rng(5)
    bend = ControlPointDisplacement(rng.normal(0, 6, (3, 3, 4, 4)), (0, 0, 0), (240, 240, 240))
    spatial_map = Compose([bend, rotation(0.4, (120, 120, 120))])
    ramp_holds(spatial_map, (0, 0, 0), (40, 4, 4), (6, 60, 60), 0.2)
    ramp_holds(spatial_map, (0, 0, 0), (40, 8, 8), (6, 30, 30), 0.2)


def ramp_holds(spatial_map, offset, size, shape, tolerance):
    """An image of world positions must show, at each output voxel, where that voxel came from."""
    begin, end = spatial_map.source(Region(offset, tuple(np.multiply(shape, size))), size)
    ramp = reference.centers(begin, size, voxels((begin, end), size))
    want = reference.pull(spatial_map, reference.centers(offset, size, shape))
    got = spatial_map.resample(ramp, begin, size, offset, shape)
    np.testing.assert_allclose(got, want, atol=tolerance, rtol=0)
    nearest = spatial_map.resample(ramp, begin, size, offset, shape, order="nearest")
    column = np.reshape(size, (-1,) + (1,) * len(shape))
    assert (np.abs(nearest - want) <= 0.5 * column + 1e-6).all()


def test_mirror_and_transpose_are_views_and_equal_numpy():
    data = np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
    size, shape = (40, 4, 4), (3, 4, 4)
    spatial_map = mirror_transpose((60, 8, 8), (True, False, True), (0, 2, 1))
    got = spatial_map.resample(data, (0, 0, 0), size, (0, 0, 0), shape)
    assert np.shares_memory(got, data)
    np.testing.assert_array_equal(got, data[:, ::-1, :, ::-1].transpose(0, 1, 3, 2))


@pytest.mark.parametrize("order", ["linear", "nearest"])
def test_a_quarter_turn_equals_rot90(order):
    data = np.random.default_rng(0).random((3, 7, 7)).astype("f4")
    turn = rotation(np.pi / 2, (0, 3.5, 3.5))
    got = turn.resample(data, (0, 0, 0), (1, 1, 1), (0, 0, 0), data.shape, order=order)
    np.testing.assert_array_equal(got, np.rot90(data, 1, (1, 2)))


def test_exact_moves_beyond_the_data_are_filled():
    data = np.arange(1, 7).reshape(2, 3)
    flip = mirror_transpose((1, 1.5), (False, True))
    got = flip.resample(data, (0, 0), (1, 1), (-1, -2), (2, 4), fill=9)
    np.testing.assert_array_equal(got, [[9, 9, 9, 9], [9, 9, 3, 2]])
    got = flip.resample(data, (0, 0), (1, 1), (50, 50), (2, 2), fill=9)
    np.testing.assert_array_equal(got, np.full((2, 2), 9))


def test_strided_read_only_and_half_precision_data_are_accepted():
    rng = np.random.default_rng(1)
    whole = rng.random((6, 9, 20)).astype("f2")[:, :, ::2]
    whole.flags.writeable = False
    move = Affine(np.eye(3), [0, 0, 0], [0, 0.25, 0.5])
    got = move.resample(whole, (0, 0, 0), (1, 1, 1), (0, 0, 0), (6, 8, 9))
    want = reference.resample(move, whole, (0,) * 3, (1,) * 3, (0,) * 3, (6, 8, 9), "linear")
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, want, atol=1e-3)


@pytest.mark.parametrize(("dtype", "order"), [("f4", "linear"), ("u8", "nearest")])
@pytest.mark.parametrize("beside", ["u1", "V11"])
def test_fields_of_structures_are_read_where_they_lie(dtype, beside, order):
    whole = np.zeros((6, 8, 9), [("id", dtype), ("beside", beside)])
    whole["id"] = np.arange(432).reshape(6, 8, 9) % 120
    move = rotation(0.3, (2, 3, 4))
    got, want = (
        move.resample(data, (0, 0, 0), (1, 1, 1), (0, 0, 0), (6, 8, 9), order=order)
        for data in (whole["id"], whole["id"].copy())
    )
    np.testing.assert_array_equal(got, want)
    assert got.any()


def test_images_can_become_floats_without_rounding():
    data = np.array([[0, 1, 3]], np.uint8)
    move = Affine(np.eye(2), [0, 0], [0, 0.5])
    got = move.resample(data, (0, 0), (1, 1), (0, 0), (1, 2), dtype=np.float32)
    np.testing.assert_array_equal(got, np.array([[0.5, 2.0]], np.float32))


@pytest.mark.parametrize("dtype", ["u8", "i8"])
def test_the_greatest_ids_survive(dtype):
    top = np.iinfo(dtype).max
    data = np.array([top - 1, top, 2**31, 2**53 + 1], dtype)
    move = Affine(np.eye(1), [0], [0.25])
    got = move.resample(data, (0,), (1,), (0,), (6,), order="nearest", fill=top)
    np.testing.assert_array_equal(got, np.append(data, np.array([top, top], dtype)))
    assert move.resample(data, (0,), (1,), (0,), (1,))[0] >= top - 2048


def test_leading_spatial_axes_pass_through():
    data = np.arange(5 * 4 * 4).reshape(5, 4, 4)
    flip = mirror_transpose((2, 2), (True, False))
    box = flip.source(Region((1, 0, 0), (3, 4, 4)), (1, 1, 1))
    assert box == ((1, 0, 0), (4, 4, 4))
    got = flip.resample(data, (0, 0, 0), (1, 1, 1), (1, 0, 0), (3, 4, 4))
    np.testing.assert_array_equal(got, data[1:4, ::-1])
    with pytest.raises(ValueError, match="leaves spatial axis 0 alone; voxels 3 to 6"):
        flip.resample(data, (0, 0, 0), (1, 1, 1), (3, 0, 0), (3, 4, 4))


def test_what_cannot_be_interpolated_is_refused():
    move = Affine(np.eye(1), [0], [0.5])
    for data in (np.ones(3, bool), np.ones(3, complex)):
        with pytest.raises(ValueError, match="cannot be interpolated linearly"):
            move.resample(data, (0,), (1,), (0,), (2,))
    with pytest.raises(ValueError, match="only linear interpolation changes the type"):
        move.resample(np.ones(3), (0,), (1,), (0,), (2,), order="nearest", dtype="f4")
    with pytest.raises(ValueError, match="asked for as int32"):
        move.resample(np.ones(3), (0,), (1,), (0,), (2,), dtype="i4")
    with pytest.raises(ValueError, match="resample real and imaginary parts"):
        move.resample(np.ones(3, "c16"), (0,), (1,), (0,), (2,), order="nearest")
    with pytest.raises(ValueError, match="fill -1 is not a value of type uint8"):
        move.resample(np.ones(3, "u1"), (0,), (1,), (0,), (2,), fill=-1)
    with pytest.raises(ValueError, match="nothing to resample"):
        move.resample(np.ones(0), (0,), (1,), (0,), (2,))
    with pytest.raises(ValueError, match="order is 'cubic'"):
        move.resample(np.ones(3), (0,), (1,), (0,), (2,), order="cubic")
    with pytest.raises(ValueError, match="the last four the same length"):
        move.resample(np.ones(3), (0, 0), (1,), (0,), (2,))
    with pytest.raises(ValueError, match=r"1\.5 voxels"):
        move.source(Region((0,), (3,)), (2,))


def test_one_interpolation_is_sharper_than_three():
    rng = np.random.default_rng(3)
    noise = rng.random((40, 40))
    parts = [Affine(np.eye(2), [0, 0], [0.5, 0.5]) for _ in range(3)]
    once = Compose(parts).resample(noise, (0, 0), (1, 1), (0, 0), (30, 30))
    thrice = noise
    for part in parts:
        thrice = part.resample(thrice, (0, 0), (1, 1), (0, 0), (36, 36))
    assert once.std() > 1.5 * thrice[:30, :30].std()


def test_the_control_points_spline_is_the_one_scipy_zooms_with():
    rng = np.random.default_rng(2)
    values = rng.normal(0, 2, (2, 4, 5))
    bend = ControlPointDisplacement(values, (0, 0), (30, 40))
    grid = np.stack(np.meshgrid(np.arange(31), np.arange(41), indexing="ij"), -1).reshape(-1, 2)
    got = (bend.pull(grid) - grid).T.reshape(2, 31, 41)
    want = [ndimage.zoom(v, np.array([31, 41]) / v.shape, order=3) for v in values]
    np.testing.assert_allclose(got, want, atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(2, 9), st.integers(1, 9), st.booleans(), st.sampled_from([1, 2, 4, 8, 10]),
    st.integers(0, 2**32),
)  # fmt: skip
def test_rows_that_meet_every_control_point(counts, step, turned_over, size, seed):
    """Voxel centres then lie on control points, where a row goes from one cubic to the next."""
    rng = np.random.default_rng(seed)
    shape = (3, 1 + (counts - 1) * step)
    begin, end = np.zeros(2), np.multiply(shape, size)
    points = rng.normal(0, 1.0, (2, 2, counts)) * size
    half = size / 2
    field = ControlPointDisplacement(points, begin + half, end - half)
    mirror = mirror_transpose(end / 2, [False, turned_over])
    spatial_map = Compose([mirror, field])
    low, high = spatial_map.source(Region((0, 0), tuple(end)), (size, size))
    data = rng.random(voxels((low, high), (size, size)))
    got = spatial_map.resample(data, low, (size, size), (0, 0), shape, fill=-1)
    want = reference.resample(spatial_map, data, low, (size, size), (0, 0), shape, "linear", -1)
    np.testing.assert_allclose(got, want, atol=1e-9, rtol=0)
    assert got.min() >= 0, "something outside of the source region was read"
    far = np.abs(points).max() + 2 * size
    assert min(low) >= -far
    assert (np.array(high) <= end + far).all()
