import time

import numpy as np
import pytest
import spatial_reference as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from spatial_reference import Region

from tests.ops.random_maps import cases
from voxflow.ops.maps import (
    Affine,
    Compose,
    ControlPointDisplacement,
    Elastic,
    Perspective,
    SectionShifts,
    draw_elastic,
    mirror_transpose,
    rotation,
)


def gentle(rng, ndim):
    """A displacement that does not fold: less than a quarter of the control points' distance."""
    points = rng.uniform(-6, 6, (ndim, *[5] * ndim))
    return ControlPointDisplacement(points, [0] * ndim, [100] * ndim)


def slips(rng, ndim):
    offsets = rng.integers(-20, 20, (10, ndim)).astype(float)
    offsets[:, 0] = 0
    return SectionShifts(offsets, 0, 10)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2**32), st.lists(st.sampled_from("aesmp"), min_size=1))
def test_points_undo_the_map(ndim, seed, kinds):
    rng = np.random.default_rng(seed)
    parts = {
        "a": lambda: Affine(np.eye(ndim) + rng.uniform(-0.2, 0.2, (ndim, ndim)), [50] * ndim),
        "e": lambda: gentle(rng, ndim),
        "s": lambda: slips(rng, ndim) if ndim > 1 else Affine(np.eye(1), [0], [3]),
        "p": lambda: Perspective(
            [50] * ndim, rng.uniform(-1e-3, 1e-3, ndim), rng.permutation(ndim)[: rng.integers(4)]
        ),
        "m": lambda: mirror_transpose([50] * ndim, rng.random(ndim) < 0.5, rng.permutation(ndim)),
    }
    spatial_map = Compose([parts[kind]() for kind in kinds[:4]])
    targets = rng.uniform(-20, 120, (40, ndim))
    places = spatial_map.points(targets)
    np.testing.assert_allclose(reference.pull(spatial_map, places.T).T, targets, atol=1e-5)
    np.testing.assert_allclose(spatial_map.pull(places), targets, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2**32))
def test_pull_agrees_with_the_reference(ndim, seed):
    rng = np.random.default_rng(seed)
    maps = [gentle(rng, ndim), Affine(rng.normal(size=(ndim, ndim)) + 3 * np.eye(ndim), [9] * ndim)]
    spatial_map = Compose(maps + ([slips(rng, ndim)] if ndim > 1 else []))
    places = rng.uniform(-50, 150, (30, ndim))
    want = reference.pull(spatial_map, places.T).T
    np.testing.assert_allclose(spatial_map.pull(places), want, atol=1e-9)


def test_mirrors_and_shifts_move_points_exactly():
    flip = mirror_transpose((49 / 5, 7), (True, False))
    np.testing.assert_array_equal(flip.points([[9.8, 1.0]]), [[9.8, 1.0]])
    move = Affine(np.eye(2), [0, 0], [3, -4])
    np.testing.assert_array_equal(move.points([[0.25, 2**40]]), [[-2.75, 2**40 + 4]])


def test_leading_axes_of_points_stay():
    flip = mirror_transpose((5, 5), (True, False))
    np.testing.assert_array_equal(flip.points([[7, 1, 2]]), [[7, 9, 2]])
    with pytest.raises(ValueError, match=r"needs \(n, 2\)"):
        flip.points([[1.0]])


def test_no_points_are_fine():
    assert gentle(np.random.default_rng(0), 3).points(np.zeros((0, 3))).shape == (0, 3)


def test_a_folding_field_still_gives_finite_points():
    rng = np.random.default_rng(0)
    wild = ControlPointDisplacement(rng.normal(0, 80, (2, 5, 5)), (0, 0), (100, 100))
    targets = rng.uniform(0, 100, (200, 2))
    places = wild.points(targets)
    assert np.isfinite(places).all()
    assert (np.abs(wild.pull(places) - targets).max(1) < 1e-4).mean() > 0.5


def test_points_rendered_then_moved_are_points_moved_then_rendered():
    rng = np.random.default_rng(4)
    roi = Region((0, 0, 0), (400, 240, 240))
    size = (40, 4, 4)
    params = Elastic((160, 80, 80), (0, 6, 6), (0.2, 0.4), (1, 1), 0.2, 0.2, 3)
    spatial_map = draw_elastic(rng, roi, size, params)
    begin, end = spatial_map.source(roi, size, "nearest")
    shape = [(e - b) // v for b, e, v in zip(begin, end, size, strict=True)]
    places = rng.uniform((0, 40, 40), (400, 200, 200), (60, 3))
    places[:, 0] = np.floor(places[:, 0] / 40) * 40 + 20
    image = np.zeros(shape, np.uint16)
    for label, place in enumerate(spatial_map.pull(places), 1):
        z, y, x = np.floor((place - begin) / size).astype(int)
        image[z, y - 2 : y + 3, x - 2 : x + 3] = label
    moved = spatial_map.resample(image, begin, size, roi.offset, (10, 60, 60), order="nearest")
    found = spatial_map.points(spatial_map.pull(places))
    np.testing.assert_allclose(found, places, atol=1e-4)
    for label in np.unique(moved)[1:]:
        voxels = np.argwhere(moved == label)
        if (image == label).sum() == 25 and 20 <= len(voxels) <= 30:
            center = (voxels.mean(0) + 0.5) * size
            assert np.abs(center - found[label - 1]).max() < 4


def test_many_points_are_quick():
    rng = np.random.default_rng(1)
    spatial_map = Compose([gentle(rng, 3), rotation(0.3, (50, 50, 50))])
    points = rng.uniform(0, 100, (100_000, 3))
    spatial_map.points(points[:10])
    begin = time.process_time()
    spatial_map.points(points)
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0, 0.0], [0.0, 1.0]],
        [[1.0, 2.0], [2.0, 4.0]],
        [[1.0, 0.0], [0.0, np.nan]],
        [[1.0, 0.0], [np.inf, 1.0]],
    ],
)
def test_a_matrix_that_cannot_be_inverted_is_refused(matrix):
    with pytest.raises(ValueError, match="cannot be inverted"):
        Affine(matrix, [0, 0])


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_matrix_may_be_small_or_large(scale):
    zoom = Affine(np.diag([scale, 2 * scale]), [0, 0])
    np.testing.assert_allclose(zoom.points(zoom.pull([[3.0, 4.0]])), [[3.0, 4.0]])


@given(cases())
def test_derivatives_are_those_of_pull(case):
    warp, offset, size, shape, rng = case
    ndim, step = len(size), 1e-5 * np.array(size)
    places = np.array(offset) + rng.uniform(0, 1, (60, ndim)) * np.multiply(shape, size)
    here, ways = warp.pull(places), np.diag(step)
    forward = np.stack([(warp.pull(places + w) - here) / w.sum() for w in ways], axis=-1)
    backward = np.stack([(here - warp.pull(places - w)) / w.sum() for w in ways], axis=-1)
    # Not where a section begins, nor where the outermost control points are.
    smooth = np.abs(forward - backward).max(axis=(1, 2)) < 0.05 * max(size) / min(size)
    assert smooth.sum() > 50
    found, wanted = warp.derivatives(places), (forward + backward) / 2
    scale = 1e-4 * max(size) / min(size)
    np.testing.assert_allclose(found[smooth], wanted[smooth], atol=scale)
    wide = warp.derivatives(np.pad(places, ((0, 0), (1, 0))))
    np.testing.assert_array_equal(wide[:, 1:, 1:], found)
    np.testing.assert_array_equal(wide[:, 0], np.eye(ndim + 1)[[0] * 60])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2**32))
def test_derivatives_of_a_perspective(ndim, seed):
    rng = np.random.default_rng(seed)
    axes = np.flatnonzero(rng.random(ndim) < 0.7)
    tilted = Perspective([50] * ndim, rng.uniform(-2e-3, 2e-3, ndim), axes)
    turned = Affine(rng.normal(size=(ndim, ndim)) + 3 * np.eye(ndim), [0] * ndim)
    (first,), (after,) = tilted.stages(), turned.stages()
    stage, places = first.followed_by(after), rng.uniform(0, 100, (20, ndim))
    found = stage.tilt.derivatives(stage, places)
    both, step = Compose([tilted, turned]), 1e-4
    for axis in range(ndim):
        there = both.pull(places + step * np.eye(ndim)[axis])
        back = both.pull(places - step * np.eye(ndim)[axis])
        np.testing.assert_allclose(found[:, :, axis], (there - back) / (2 * step), atol=1e-6)


def test_points_behind_the_horizon_are_nowhere():
    near = Perspective([0.0, 0.0], [0.01, 0.0])
    assert np.isinf(near.points([[101.0, 3.0]])).all()
    np.testing.assert_allclose(near.points([[50.0, 3.0]]), [[100.0, 6.0]])
    assert np.isfinite(near.pull([[-1e9, 1.0]])).all()
    with pytest.raises(ValueError, match="1 to 3 axes"):
        Perspective([0.0], [0.0, 1.0])
