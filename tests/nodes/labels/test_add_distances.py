import numpy as np
import pytest
from scipy import ndimage

import voxflow as gp
from tests.helpers import served, source, specs

LABELS, FAR = gp.ArrayKey("LABELS"), gp.ArrayKey("FAR")
SIZE = (40, 4, 9.8)


def far(labels, size, *args, **kwargs):
    size = gp.Coordinate(size)
    asked = gp.BatchRequest({FAR: gp.Roi((0,) * len(size), gp.Coordinate(labels.shape) * size)})
    node = gp.AddDistances(LABELS, FAR, *args, **kwargs)
    return served(source(LABELS, labels, size) + node, asked)[FAR].data


def some_labels():
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, (3, 4, 4)).repeat(4, 0).repeat(5, 1).repeat(3, 2)


def per_object(labels, size, ids):
    """To the centre of the nearest voxel that is not of the object, with scipy."""
    out = np.zeros(labels.shape)
    for label in ids:
        inside = labels == label
        out += np.where(inside, ndimage.distance_transform_edt(inside, sampling=size), 0)
    return out


@pytest.mark.parametrize("limit", [25, 1000])
def test_to_the_nearest_voxel_of_another_object(limit):
    labels = some_labels()
    got = far(labels, SIZE, limit, to="voxel")
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, per_object(labels, SIZE, (1, 2)).clip(max=limit), rtol=1e-6)


def test_to_the_background_and_signed():
    labels = some_labels()
    fore = (labels != 0).astype(int)
    wanted = per_object(fore, SIZE, (1,)) - per_object(1 - fore, SIZE, (1,))
    got = far(labels, SIZE, 60, to="voxel", signed=True, boundary="background")
    np.testing.assert_allclose(got, wanted.clip(-60, 60), rtol=1e-6)


def test_to_the_face_it_is_half_a_voxel_less():
    labels = np.array([[5, 5, 5, 7, 7, 0, 0]] * 3)
    got = far(labels, (3, 10), 22, signed=True)
    assert got.tolist() == [[22, 15, 5, 5, 5, -5, -15]] * 3


def test_planes_by_themselves():
    labels = np.stack([np.full((4, 4), 3), np.full((4, 4), 5)])
    assert (far(labels, (1, 1, 1), 9, only_xy=True) == 9).all()
    assert (far(labels, (1, 1, 1), 9) == 0.5).all()


def test_any_background():
    labels = np.array([2**64 - 1] * 3 + [0] * 2, np.uint64)
    got = far(labels, (2,), 9, background=2**64 - 1)
    assert got.tolist() == [0, 0, 0, 1, 3]


def test_what_is_offered():
    pipeline = source(LABELS, some_labels(), (2, 2, 2)) + gp.AddDistances(LABELS, FAR, 9)
    with specs(pipeline) as spec:
        assert (spec[FAR].dtype, spec[FAR].interpolatable) == (np.float32, True)


def test_mistakes():
    for kwargs, text in (
        ({"max_distance": 0}, "max_distance has to be above 0"),
        ({"max_distance": 1, "to": "edge"}, "got to='edge'"),
        ({"max_distance": 1, "boundary": "edge"}, "got 'edge'"),
    ):
        with pytest.raises(ValueError, match=text):
            gp.AddDistances(LABELS, FAR, **kwargs)
    with pytest.raises(gp.PipelineSetupError, match="only_xy needs two axes, LABELS has one"):
        far(np.zeros(3, int), (1,), 5, only_xy=True)
