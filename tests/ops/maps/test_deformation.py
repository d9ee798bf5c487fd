import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.maps import ControlPointDisplacement, Deformation
from voxflow.ops.maps.deformation import draw_rotation


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2**32), st.floats(0.7, 1.5))
def test_displacement_adds_to_what_was_turned_and_scaled(ndim, seed, magnify):
    rng = np.random.default_rng(seed)
    matrix = draw_rotation(rng, ndim, list(range(ndim)))
    center, points = rng.uniform(20, 80, ndim), rng.normal(0, 2, (ndim, *[4] * ndim))
    begin, end = np.zeros(ndim), np.full(ndim, 100.0)
    whole = Deformation(matrix, magnify, center, points, begin, end)
    places = rng.uniform(0, 100, (50, ndim))
    added = ControlPointDisplacement(points, begin, end).pull(places) - places
    want = (places - center) @ matrix.T / magnify + center + added
    np.testing.assert_allclose(whole.pull(places), want, atol=1e-9)
    np.testing.assert_allclose(whole.points(want), places, atol=1e-5)
    assert len(whole.stages()) <= 2


def test_what_is_local_leaves_out_the_magnification():
    points = np.zeros((2, 3, 3))
    points[0, 1, 1] = 5
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    turned = Deformation(
        quarter, 2.0, np.array([10.0, 10.0]), points, np.zeros(2), np.full(2, 20.0)
    )
    local = turned.local()
    np.testing.assert_allclose(local[:, 1, 1], [5, 0])
    # the control point at (0, 0), (-10, -10) from the centre, shows what lies at (-10, 10) from it
    np.testing.assert_allclose(local[:, 0, 0], [0, 20])
    same = Deformation(np.eye(2), 1.0, np.zeros(2), np.zeros((2, 3, 3)), np.zeros(2), np.ones(2))
    assert same.is_identity
    assert not turned.is_identity


@pytest.mark.parametrize("axes", [[0, 1, 2], [1, 2], [0, 2]])
def test_rotations_are_rotations_and_all_are_alike(axes):
    rng = np.random.default_rng(3)
    drawn = np.array([draw_rotation(rng, 3, axes) for _ in range(4000)])
    np.testing.assert_allclose(
        drawn @ drawn.transpose(0, 2, 1), np.eye(3)[None].repeat(4000, 0), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(drawn), 1)
    for axis in set(range(3)) - set(axes):
        np.testing.assert_array_equal(drawn[:, axis], np.eye(3)[axis][None].repeat(4000, 0))
    # Where a fixed direction goes is uniform on the sphere (the circle): mean 0, variance 1 / n.
    went = drawn[:, :, axes[0]][:, axes]
    np.testing.assert_allclose(went.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(went.T @ went / 4000, np.eye(len(axes)) / len(axes), atol=0.03)
    # Archimedes: on the sphere each coordinate is uniform.
    if len(axes) == 3:
        counts = np.histogram(went[:, 0], 8, (-1, 1))[0]
        assert counts.min() > 400
