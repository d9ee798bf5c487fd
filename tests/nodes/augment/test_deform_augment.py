import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, ramp, served, source
from tests.nodes.augment.registered import IDS, POINTS, RAMP, center_of, volume, voxel_of

RAW, TRANSFORM, SCALAR = (gp.ArrayKey(name) for name in ("RAW", "TRANSFORM", "SCALAR"))
SIZE, FINE = gp.Coordinate(8, 2, 2), gp.Coordinate(4, 4, 4)
WORLD = gp.Roi((-32, -32, -32), (144, 144, 144))
INNER = gp.Roi((16, 16, 16), (48, 48, 48))
STILL = {"jitter_sigma": (0, 0, 0), "rotate": False}


def deformed(seed=1, spacing=(24, 16, 16), roi=INNER, sizes=(SIZE, SIZE), **kwargs):
    options = {"jitter_sigma": (2, 1, 1), **kwargs}
    node = gp.DeformAugment(spacing, **options)
    return served(volume(WORLD, *sizes) + node, asking(RAMP=roi, IDS=roi, points=roi), seed)


def test_without_anything_to_draw_it_changes_nothing():
    batch = deformed(**STILL)
    plain = served(volume(WORLD, SIZE, SIZE), asking(RAMP=INNER, IDS=INNER, points=INNER))
    for key in RAMP, IDS:
        np.testing.assert_array_equal(batch[key].data, plain[key].data)
    np.testing.assert_array_equal(batch[POINTS].locations, plain[POINTS].locations)


@hypothesis.settings(max_examples=12)
@hypothesis.given(seed=st.integers(0, 2**32), plane=st.booleans())
def test_arrays_of_different_voxel_sizes_and_points_stay_registered(seed, plane):
    batch = deformed(seed, sizes=(SIZE, FINE), rotation_axes=(1, 2) if plane else None)
    image, numbers, graph = batch[RAMP], batch[IDS], batch[POINTS]
    assert image.data.shape == (3, 6, 24, 24)
    assert numbers.data.shape == (12, 12, 12)
    # in the middle of a voxel of FINE lies a corner of voxels of SIZE: 8 = 4 + 4
    mine = center_of(numbers.data[::2, ::1, ::1], WORLD, FINE)
    assert np.isfinite(mine).all()
    off = []
    for number, place in zip(graph.ids.tolist(), graph.locations, strict=True):
        came_from = center_of(number, WORLD, FINE)
        shown = image.data[(slice(None), *voxel_of(place, image))]
        off.append(np.abs(came_from - shown) / np.array(SIZE, float))
    assert len(off) > 500
    # A point comes from where the voxel comes from that it lies in: half a voxel, turned at most.
    assert np.quantile(np.max(off, axis=1), 0.9) < 3
    seen = numbers.data[tuple(np.transpose([voxel_of(p, numbers) for p in graph.locations]))]
    away = np.abs(center_of(seen, WORLD, FINE) - center_of(graph.ids, WORLD, FINE)).max(axis=0)
    assert (away <= 4 * np.sqrt(3)).all()


@hypothesis.settings(max_examples=12)
@hypothesis.given(seed=st.integers(0, 2**32))
def test_rotations_keep_distances_whatever_the_spacing(seed):
    batch = deformed(seed, spacing=(40, 8, 16), jitter_sigma=(0, 0, 0))
    places = batch[RAMP].data.reshape(3, -1).T
    where = ramp(INNER, SIZE).reshape(3, -1).T
    pairs = np.random.default_rng(seed).integers(0, len(places), (200, 2))
    before = np.linalg.norm(np.diff(where[pairs], axis=1), axis=2)
    after = np.linalg.norm(np.diff(places[pairs], axis=1), axis=2)
    np.testing.assert_allclose(after, before, atol=1e-3 * 2)
    assert np.abs(places - where).max() > 1


def test_rotation_axes_name_a_plane_and_other_axes_stay():
    for axes in ((0, 2), (2, 0)):
        batch = deformed(rotation_axes=axes, jitter_sigma=(0, 0, 0), spacing=(16, 16, 16))
        moved = batch[RAMP].data - ramp(INNER, SIZE)
        np.testing.assert_allclose(moved[1], 0, atol=1e-9)
        assert np.abs(moved[[0, 2]]).min(axis=(1, 2, 3)).max() < 8
        assert np.abs(moved[0]).max() > 1


def told(
    p=1.0, on_failure="error", seed=1, roi=INNER, asked=None, world=WORLD, size=SIZE, **kwargs
):
    node = gp.DeformAugment(
        (16, 16, 16), (2, 2, 2), transform_key=TRANSFORM, p=p, on_failure=on_failure, **kwargs
    )
    pipeline = source(RAW, ramp(world, size), size, world.offset, True) + node
    return served(pipeline, asking(RAW=roi, TRANSFORM=asked or roi), seed)


def test_the_transform_says_what_was_done():
    batch = told(seed=4, size=(16, 16, 16))
    array = batch[TRANSFORM]
    assert array.data.shape == (3, 3, 3, 3)
    assert array.data.dtype == np.float32
    assert array.spec.voxel_size == gp.Coordinate(16, 16, 16)
    # control points lie in the centres of cells, and here so do voxels
    shown = batch[RAW].data - ramp(INNER, (16, 16, 16))
    np.testing.assert_allclose(array.data, shown, atol=1e-4)
    part = told(seed=4, asked=gp.Roi((32, 32, 32), (16, 32, 16)))[TRANSFORM]
    np.testing.assert_array_equal(part.data, array.data[:, 1:2, 1:3, 1:2])


def test_the_transform_leaves_out_the_scale():
    still = told(rotate=False, scale_interval=(2, 2), seed=4)[TRANSFORM].data
    np.testing.assert_allclose(still, told(rotate=False, seed=4)[TRANSFORM].data, atol=1e-5)
    assert still.std() > 1


def test_the_transform_is_zero_where_nothing_was_done():
    plain = ramp(INNER, SIZE)
    for batch in (told(p=0), told(on_failure="skip", world=gp.Roi((16, 16, 16), (48, 48, 48)))):
        assert not batch[TRANSFORM].data.any()
        np.testing.assert_array_equal(batch[RAW].data, plain)
    moved = [told(p=0.5, seed=seed)[TRANSFORM].data.any() for seed in range(20)]
    assert 3 < sum(moved) < 17


def test_spacing_may_be_the_voxel_size():
    node = gp.DeformAugment((8, 2, 2), (0, 0.2, 0.2), rotate=False, transform_key=TRANSFORM)
    pipeline = source(RAW, ramp(WORLD, SIZE), SIZE, WORLD.offset, True) + node
    batch = served(pipeline, asking(RAW=INNER, TRANSFORM=INNER))
    moved = batch[RAW].data - ramp(INNER, SIZE)
    np.testing.assert_allclose(moved, batch[TRANSFORM].data, atol=1e-5)
    assert moved.std() > 0.1


def test_arrays_without_a_place_pass():
    scalar = gp.ArraySource(SCALAR, gp.Array(np.arange(3), gp.ArraySpec(nonspatial=True)))
    inputs = (source(RAW, ramp(WORLD, SIZE), SIZE, WORLD.offset, True), scalar)
    request = asking(RAW=INNER)
    request[SCALAR] = gp.ArraySpec(nonspatial=True)
    node = gp.DeformAugment((16, 16, 16), (2, 2, 2), transform_key=TRANSFORM)
    batch = served(inputs + gp.MergeProvider() + node, request)
    assert batch[SCALAR].data.tolist() == [0, 1, 2]
    assert (batch[RAW].data != ramp(INNER, SIZE)).any()


def test_axes_before_those_that_are_deformed_stay():
    times = 3
    size, world = gp.Coordinate(1, 8, 2, 2), gp.Roi((0, *WORLD.offset), (times, *WORLD.shape))
    data = ramp(WORLD, SIZE)[2]
    movie = np.stack([data + 1000 * t for t in range(times)])
    node = gp.DeformAugment((16, 16, 16), (2, 2, 2))
    roi = gp.Roi((0, *INNER.offset), (times, *INNER.shape))
    batch = served(source(RAW, movie, size, world.offset, True) + node, asking(RAW=roi))
    for t in range(times):
        np.testing.assert_allclose(batch[RAW].data[t] - 1000 * t, batch[RAW].data[0], atol=1e-9)
    assert (batch[RAW].data[0] != ramp(INNER, SIZE)[2]).any()


def test_two_dimensions():
    world, inner = gp.Roi((-50, -50), (200, 200)), gp.Roi((10, 10), (40, 42))
    node = gp.DeformAugment((10, 10), (1, 1), spatial_dims=2)
    batch = served(
        source(RAW, ramp(world, (2, 2)), (2, 2), world.offset, True) + node, asking(RAW=inner)
    )
    places = batch[RAW].data
    assert places.shape == (2, 20, 21)
    assert np.abs(places.mean(axis=(1, 2)) - [30, 31]).max() < 3


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"control_point_spacing": (1, 1)}, "need one entry for each of spatial_dims=3"),
        ({"jitter_sigma": (1, 1)}, "need one entry"),
        ({"graph_raster_voxel_size": (1, 1)}, "need one entry"),
        ({"jitter_sigma": (1, -1, 1)}, "not below"),
        ({"scale_interval": (1.1, 0.9)}, "from low to high"),
        ({"scale_interval": (0, 1)}, "above 0"),
        ({"spatial_dims": 4}, "1 to 3 axes"),
        ({"rotation_axes": (0, 3)}, "0 to 2"),
        ({"rotation_axes": (1,)}, "two or three"),
        ({"rotation_axes": (1, 1)}, "two or three"),
        ({"on_failure": "pray"}, "on_failure is one of"),
        ({"labels": "all"}, "majority"),
        ({"p": 2}, "probability"),
    ],
)
def test_mistakes_are_found_at_once(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gp.DeformAugment(
            **{"control_point_spacing": (1, 1, 1), "jitter_sigma": (1, 1, 1), **kwargs}
        )


def test_too_few_axes():
    flat = source(RAW, np.zeros((9, 9)), (1, 1), (0, 0), True) + gp.DeformAugment(
        (1,) * 3, (1,) * 3
    )
    with pytest.raises(gp.PipelineRequestError, match="give spatial_dims="):
        served(flat, asking(RAW=gp.Roi((2, 2), (3, 3))))
