import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from voxflow.ops.faces import face_distances, faces, gradient


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=4)))
    if len(shape) == 4:
        shape = tuple(min(n, 5) for n in shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = np.array([0, 2**64 - 1, 2**64 - 2], np.uint64)
    grain = draw(st.sampled_from([1, 3, 5]))
    coarse = rng.choice(ids, size=shape)
    size = tuple(draw(st.sampled_from([1, 2, 4.5, 40])) for _ in shape)
    return coarse[np.ix_(*[np.arange(n) // grain for n in shape])], size


def naive_faces(labels):
    out = np.ones([2 * n for n in labels.shape])
    for place in np.ndindex(*labels.shape):
        for axis in range(labels.ndim):
            beside = tuple(n + (a == axis) for a, n in enumerate(place))
            if beside[axis] < labels.shape[axis] and labels[beside] != labels[place]:
                out[tuple(2 * n + (a == axis) for a, n in enumerate(place))] = 0
    return out


@settings(max_examples=100, deadline=None)
@given(cases())
def test_equals_a_transform_at_twice_the_resolution(case):
    labels, size = case
    fine = naive_faces(labels)
    found = faces(labels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, fine)
    got = face_distances(labels, size)
    assert got.dtype == np.float32
    if fine.all():
        assert np.isinf(got).all()
        return
    far = ndimage.distance_transform_edt(fine, sampling=[v / 2 for v in size])
    np.testing.assert_allclose(got, far[(slice(None, None, 2),) * labels.ndim], rtol=1e-6)


@pytest.mark.parametrize("shape", [(7,), (2, 5), (4, 3, 6)])
def test_gradient_is_that_of_numpy(shape):
    values = np.random.default_rng(0).random(shape).astype(np.float32)
    size = (4, 2.5, 40)[: len(shape)]
    wanted = np.gradient(values, *size)
    wanted = np.stack([wanted] if len(shape) == 1 else wanted)
    np.testing.assert_allclose(gradient(values, size), wanted, rtol=1e-6)


def test_there_is_no_gradient_along_a_single_voxel():
    assert gradient(np.ones((1, 2), np.float32), (3, 4)).tolist() == [[[0, 0]], [[0, 0]]]


def test_nothing():
    assert face_distances(np.zeros((0, 3), int), (1, 1)).shape == (0, 3)
    assert gradient(np.zeros((0, 3), np.float32), (1, 1)).shape == (2, 0, 3)
