import numpy as np
import pytest
from scipy import ndimage

import voxflow as gp
from tests.helpers import served, source, specs

LABELS, WAYS, FAR, EDGE = (gp.ArrayKey(name) for name in ("LABELS", "WAYS", "FAR", "EDGE"))
KEYS = WAYS, FAR, EDGE
SMALL = np.array(
    [[1, 1, 1, 2, 2, 0], [1, 1, 1, 2, 0, 0], [1, 1, 3, 3, 0, 0], [1, 1, 3, 3, 3, 3]], np.uint64
)


def made(labels, size, **kwargs):
    node = gp.contrib.AddBoundaryDistanceGradients(LABELS, *KEYS, **kwargs)
    roi = gp.Roi((0,) * len(size), gp.Coordinate(labels.shape) * gp.Coordinate(size))
    batch = served(source(LABELS, labels, size) + node, gp.BatchRequest(dict.fromkeys(KEYS, roi)))
    assert {batch[key].data.dtype for key in KEYS} == {np.dtype(np.float32)}
    return [batch[key].data for key in KEYS]


def reference(labels, size):
    """The distances and boundaries by a transform at twice the resolution, with scipy."""
    edge = np.ones([2 * n for n in labels.shape])
    for axis in range(labels.ndim):
        change = np.diff(labels.astype(float), axis=axis) == 0
        place = [slice(None, None, 2)] * labels.ndim
        place[axis] = slice(1, -1, 2)
        edge[tuple(place)] = change
    far = ndimage.distance_transform_edt(edge, sampling=[v / 2 for v in size])
    far = far[(slice(None, None, 2),) * labels.ndim].astype(np.float32)
    far[labels == 0] = 0
    ways = np.stack(np.gradient(far, *size))
    ways[:, labels == 0] = 0
    return ways, far, edge


def test_boundaries_lie_between_voxels_and_distances_are_to_their_centres():
    ways, far, edge = made(SMALL, (2, 2))
    assert edge[0].tolist() == [1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1]
    assert far[0].tolist() == [5, 3, 1, 1, 1, 0]
    np.testing.assert_allclose(far[1, :2], [13**0.5, 5**0.5], rtol=1e-6)
    assert ways[1, 0].tolist() == [-1, -1, -0.5, 0, -0.25, 0]


@pytest.mark.parametrize("size", [(2, 2), (40, 4), (3, 5)])
def test_equals_a_transform_at_twice_the_resolution(size):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (5, 6)).repeat(4, 0).repeat(5, 1)
    for got, wanted in zip(made(labels, size), reference(labels, size), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_three_dimensions_normalised_and_scaled():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, (3, 3, 4)).repeat(3, 0).repeat(4, 1).repeat(3, 2)
    plain, far, _ = reference(labels, (4, 2, 2))
    for kind, norm in (("l1", np.abs(plain).sum(0)), ("l2", np.sqrt((plain**2).sum(0)))):
        wanted = plain / np.where(norm < 1e-5, 1, norm)
        got = made(labels, (4, 2, 2), normalize=kind)[0]
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
        got = made(labels, (4, 2, 2), normalize=kind, scale="exp", scale_args=(0.3, 2))[0]
        np.testing.assert_allclose(got, wanted * 2 * np.exp(-0.3 * far), rtol=1e-4, atol=1e-6)


def test_without_a_boundary_all_is_zero():
    ways, far, edge = made(np.full((3, 3), 7), (2, 2))
    assert not ways.any()
    assert not far.any()
    assert edge.all()


def test_with_a_limit_it_is_the_distance_where_there_is_no_boundary():
    ways, far, _ = made(np.full((3, 3), 7), (2, 2), max_distance=10)
    assert not ways.any()
    assert (far == 10).all()
    far = made(SMALL, (2, 2), max_distance=2.5)[1]
    assert far[0].tolist() == [2.5, 2.5, 1, 1, 1, 0]


def test_what_is_offered():
    labels = source(LABELS, SMALL, (5, 2))
    with specs(labels + gp.contrib.AddBoundaryDistanceGradients(LABELS, *KEYS)) as spec:
        assert spec[EDGE].voxel_size == (2.5, 1)
        for key in KEYS:
            assert spec[key].roi == spec[LABELS].roi
            assert (spec[key].dtype, spec[key].interpolatable) == (np.float32, False)


def test_a_part_of_the_boundaries_between_voxels():
    node = gp.contrib.AddBoundaryDistanceGradients(LABELS, WAYS, boundary_array_key=EDGE)
    part = served(
        source(LABELS, SMALL, (2, 2)) + node, gp.BatchRequest({EDGE: gp.Roi((1, 3), (5, 7))})
    )
    np.testing.assert_array_equal(part[EDGE].data, made(SMALL, (2, 2))[2][1:6, 3:10])


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"normalize": "l3"}, "got 'l3'"),
        ({"scale": "log"}, "got 'log'"),
        ({"scale": "exp"}, r"needs scale_args=\(alpha, beta\), got None"),
        ({"max_distance": 0}, "max_distance has to be above 0"),
    ],
)
def test_mistakes(kwargs, text):
    with pytest.raises(ValueError, match=text):
        gp.contrib.AddBoundaryDistanceGradients(LABELS, WAYS, **kwargs)


def test_with_a_limit_a_block_sees_what_its_neighbours_see():
    labels = np.repeat([[1, 2]], 10, axis=1)
    whole = made(labels, (1, 4), max_distance=15)
    for x in range(20):
        node = gp.contrib.AddBoundaryDistanceGradients(LABELS, WAYS, FAR, max_distance=15)
        asked = gp.BatchRequest(dict.fromkeys((WAYS, FAR), gp.Roi((0, 4 * x), (1, 4))))
        batch = served(source(LABELS, labels, (1, 4)) + node, asked)
        np.testing.assert_array_equal(batch[WAYS].data, whole[0][..., x : x + 1])
        np.testing.assert_array_equal(batch[FAR].data, whole[1][..., x : x + 1])
