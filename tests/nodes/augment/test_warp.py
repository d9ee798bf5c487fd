from functools import partial

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, ramp, served, source
from tests.nodes.augment.registered import IDS, POINTS, RAMP, center_of, volume
from voxflow.pipeline.data.seeds import generator

RAW = gp.ArrayKey("RAW")
SIZE = gp.Coordinate(8, 2, 2)
WORLD = gp.Roi((-80, -72, -72), (240, 192, 192))
INNER = gp.Roi((16, 8, 8), (48, 32, 32))

PARTS = {
    "rotation": {"rotation": (0.3, 1.2)},
    "any rotation": {"rotation": "any", "lock_z": False},
    "shear": {"shear": (0.1, 0.2)},
    "scale": {"scale": ((0.9, 1.2), (0.8, 1.3), (0.8, 1.3))},
    "linear": {"linear": 0.1, "lock_z": False},
    "shift": {"shift": (-0.2, 0.2)},
    "stretch": {"stretch": 0.2},
    "twist": {"twist": 0.5},
    "perspective": {"perspective": 0.02},
    "deep perspective": {"perspective": 0.02, "lock_z": False},
    "mirror": {"mirror": (0, 1, 2)},
    "transpose": {"transpose": (1, 2)},
    "elastic": {"control_point_spacing": (2, 6, 6), "jitter_sigma": (0.2, 0.4, 0.4)},
    "slips": {"prob_slip": 0.3, "prob_shift": 0.3, "max_misalign": 4},
}
PRESETS = {
    "elektronn1": gp.Warp.elektronn1,
    "elektronn2": partial(gp.Warp.elektronn2, perspective=True),
    "elektronn2 in 3-D": partial(gp.Warp.elektronn2, lock_z=False, transpose=(1, 2)),
    "gunpowder": partial(gp.Warp.gunpowder, max_misalign=5),
    "imgaug": partial(gp.Warp.imgaug, elastic=True, spatial_dims=3),
}


def warped(seed=1, size=SIZE, roi=INNER, node=None, **kwargs):
    pipeline = volume(WORLD, size, size) + (gp.Warp(**kwargs) if node is None else node)
    return served(pipeline, asking(RAMP=roi, IDS=roi, points=roi), seed)


def map_of(node, seed=1):
    """The map that `warped` draws."""
    pipeline = volume(WORLD, SIZE, SIZE) + node
    with gp.build(pipeline, seed=seed):
        request = asking(RAMP=INNER, IDS=INNER, points=INNER)
        request._set_seed(seed)
        return pipeline.request_batch(request), node.plan(request.clone())


def test_without_arguments_it_changes_nothing():
    batch = warped()
    plain = served(volume(WORLD, SIZE, SIZE), asking(RAMP=INNER, IDS=INNER, points=INNER))
    for key in RAMP, IDS:
        np.testing.assert_array_equal(batch[key].data, plain[key].data)
    np.testing.assert_array_equal(batch[POINTS].locations, plain[POINTS].locations)


@pytest.mark.parametrize("options", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_image_is_that_of_the_map_and_points_are_its_inverse(options, seed):
    batch, whole = map_of(gp.Warp(**options), seed)
    where = ramp(INNER, SIZE).reshape(3, -1).T
    shown = batch[RAMP].data.reshape(3, -1).T
    np.testing.assert_allclose(shown, whole.pull(where), atol=1e-3 * 2)
    # ids are those of the voxels that hold the places which the ramp shows
    came_from = center_of(batch[IDS].data, WORLD, SIZE).reshape(3, -1).T
    assert (np.abs(came_from - shown) <= np.array(SIZE, float) / 2 + 1e-6).all()
    graph = batch[POINTS]
    assert graph.num_vertices() > 500
    places = center_of(graph.ids, WORLD, SIZE).T
    np.testing.assert_allclose(whole.points(places), graph.locations, atol=1e-6)
    if "slips" not in options and not options.get("max_misalign"):
        np.testing.assert_allclose(whole.pull(graph.locations), places, atol=1e-5)
    assert np.abs(shown - where).max() > 1 or options.keys() & {"mirror", "transpose"}


@pytest.mark.parametrize("make", PRESETS.values(), ids=PRESETS)
def test_presets_draw_and_stay_registered(make):
    moved = []
    for seed in range(4):
        batch = warped(seed, node=make())
        shown = batch[RAMP].data
        came_from = center_of(batch[IDS].data, WORLD, SIZE)
        half = np.array(SIZE, float).reshape(3, 1, 1, 1) / 2
        assert (np.abs(came_from - shown) <= half + 1e-6).all()
        moved.append(np.abs(shown - ramp(INNER, SIZE)).max())
    assert max(moved) > 2


def test_a_rotation_by_90_degrees_is_that_of_numpy():
    flat, inner = gp.Roi((0, 0), (96, 96)), gp.Roi((32, 32), (32, 32))
    data = np.random.default_rng(0).random((48, 48)).astype(np.float32)
    for quarters in (1, 2, 3):
        node = gp.Warp(rotation=(quarters * np.pi / 2,) * 2, spatial_dims=2)
        got = served(source(RAW, data, (2, 2), (0, 0), True) + node, asking(RAW=inner))
        part = data[16:32, 16:32]
        assert flat.contains(inner)
        np.testing.assert_array_equal(got[RAW].data, np.rot90(part, quarters))


@hypothesis.settings(max_examples=10)
@hypothesis.given(seed=st.integers(0, 2**32), size=st.sampled_from([(8, 2, 2), (4, 8, 2)]))
def test_rotations_keep_physical_distances(seed, size):
    roi = gp.Roi((16, 8, 8), (48, 32, 32))
    batch = warped(seed, gp.Coordinate(size), roi, rotation="any", lock_z=False)
    places = batch[RAMP].data.reshape(3, -1).T
    where = ramp(roi, size).reshape(3, -1).T
    pairs = np.random.default_rng(seed).integers(0, len(places), (200, 2))
    before = np.linalg.norm(np.diff(where[pairs], axis=1), axis=2)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(places[pairs], axis=1), axis=2), before, atol=1e-6
    )
    assert np.abs(places - where)[:, 0].max() > 0.1


def test_mirrors_and_transpositions_are_views_and_all_are_drawn():
    flat, inner = gp.Roi((0, 0), (60, 60)), gp.Roi((20, 20), (20, 20))
    data = np.random.default_rng(0).integers(0, 255, (30, 30)).astype(np.uint8)
    part = data[10:20, 10:20]
    orientations = [np.rot90(image, k) for image in (part, part.T) for k in range(4)]
    seen = set()
    for seed in range(60):
        node = gp.Warp(mirror=(0, 1), transpose=(0, 1), spatial_dims=2)
        pipeline = source(RAW, data, (2, 2), flat.begin, True) + node
        got = served(pipeline, asking(RAW=inner), seed)[RAW].data
        matches = [i for i, one in enumerate(orientations) if np.array_equal(got, one)]
        assert len(matches) == 1
        seen.update(matches)
    assert seen == set(range(8))


def test_axes_before_those_that_are_moved_stay():
    size, world = gp.Coordinate(3, 2, 2), gp.Roi((0, 0, 0), (9, 96, 96))
    data = np.stack([ramp(gp.Roi((0, 0), (96, 96)), (2, 2))[0] + 1000 * t for t in range(3)])
    node = gp.Warp.imgaug(chance=1)
    inner = gp.Roi((3, 40, 40), (6, 16, 16))
    got = served(source(RAW, data, size, world.begin, True) + node, asking(RAW=inner))[RAW].data
    np.testing.assert_allclose(got[1] - 1000, got[0], atol=1e-9)
    assert (got[0] != data[1, 20:28, 20:28]).any()


def test_elastic_parts_are_drawn_by_chance():
    options = {"control_point_spacing": (10, 10), "jitter_sigma": (1, 1), "spatial_dims": 2}
    node = gp.Warp(**options, elastic_chance=0.8)
    pipeline = source(RAW, np.zeros((60, 60)), (2, 2), (0, 0), True) + node
    request = asking(RAW=gp.Roi((20, 20), (80, 80)))
    with gp.build(pipeline, seed=1):
        moved = [not node.draw(request, generator(seed, "Warp")).is_identity for seed in range(200)]
    assert 0.7 < np.mean(moved) < 0.9


def test_gunpowders_ranges_are_those_of_elastic_augment():
    """The same moments of displacement, from two different streams of dice."""
    warp = gp.Warp.gunpowder(max_misalign=5)
    elastic = gp.ElasticAugment(
        (4, 40, 40), (0, 2, 2), (0, np.pi / 2), prob_slip=0.05, prob_shift=0.05, max_misalign=5
    )
    where = ramp(INNER, SIZE).reshape(3, -1).T
    request, spread = asking(RAMP=INNER), []
    for node in (warp, elastic):
        with gp.build(volume(WORLD, SIZE, SIZE) + node, seed=1):
            maps = [node.draw(request, generator(seed, "any")) for seed in range(400)]
            moved = np.array([one.pull(where) - where for one in maps])
        assert not moved[:, :, 0].any()
        spread.append((moved.mean(axis=(0, 1)), moved.std(axis=(0, 1))))
    np.testing.assert_allclose(spread[0], spread[1], atol=1.0)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rotation": (1, 0)}, "rotation goes from low to high"),
        ({"rotation": "all"}, "rotation is an interval, or 'any'"),
        ({"scale": ((1, 1),)}, "one for each of spatial_dims=3"),
        ({"scale": (0, 1)}, "above 0"),
        ({"linear": 0.7}, "below 0.5"),
        ({"stretch": 1}, "below 1"),
        ({"twist": -1}, "cannot be -1"),
        ({"mirror": (3,)}, "0 to 2"),
        ({"transpose": (1, 1)}, "different axes"),
        ({"jitter_sigma": (1, 1, 1)}, "belong together"),
        ({"control_point_spacing": (1, 1), "jitter_sigma": (1, 1)}, "one entry for each"),
        ({"prob_slip": 0.7, "prob_shift": 0.7, "max_misalign": 1}, "together"),
        ({"twist": 1, "spatial_dims": 2}, "need three axes"),
        ({"spatial_dims": 4}, "1 to 3 axes"),
        ({"voxel_size": (1, 1)}, "an entry for each"),
        ({"chance": 2}, "probability"),
        ({"on_failure": "no"}, "on_failure is one of"),
    ],
)
def test_mistakes_are_found_at_once(kwargs, message):
    with pytest.raises(ValueError, match=message):
        gp.Warp(**kwargs)


def test_mistakes_in_a_request():
    with pytest.raises(gp.PipelineRequestError, match="not equally long"):
        warped(transpose=(0, 1))
    with pytest.raises(gp.PipelineRequestError, match=r"Give voxel_size=\."):
        pipeline = volume(WORLD, SIZE, (4, 4, 4)) + gp.Warp(perspective=0.001)
        served(pipeline, asking(RAMP=INNER, IDS=INNER))
    with pytest.raises(gp.PipelineRequestError, match="give voxel_size="):
        served(volume(WORLD, SIZE, SIZE) + gp.Warp.gunpowder(), asking(points=INNER))
