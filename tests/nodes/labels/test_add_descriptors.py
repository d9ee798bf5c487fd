import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source, specs
from voxflow.ops.descriptors import local_shape_descriptors

LABELS, SHAPE = gp.ArrayKey("LABELS"), gp.ArrayKey("SHAPE")


def described(labels, size, roi, *args, **kwargs):
    pipeline = source(LABELS, labels, size) + gp.AddDescriptors(LABELS, SHAPE, *args, **kwargs)
    return served(pipeline, gp.BatchRequest({SHAPE: roi}))[SHAPE].data


@pytest.mark.parametrize("downsample", [1, 2, (1, 3, 2)])
def test_equals_the_function_on_the_whole(downsample):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (4, 6, 5)).repeat(3, 1).repeat(4, 2)
    size, sigma = (8, 2, 3), (8, 5, 6)
    whole = local_shape_descriptors(labels, sigma, size, downsample=downsample)
    got = described(labels, size, gp.Roi((8, 10, 15), (16, 10, 21)), sigma, downsample=downsample)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, whole[:, 1:3, 5:10, 5:12], rtol=1e-5, atol=1e-5)


def test_what_is_offered():
    pipeline = source(LABELS, np.ones((9, 9), int), (2, 2)) + gp.AddDescriptors(LABELS, SHAPE, 4)
    with specs(pipeline) as spec:
        assert spec[SHAPE].roi == spec[LABELS].roi
        assert (spec[SHAPE].dtype, spec[SHAPE].interpolatable) == (np.float32, True)


@pytest.mark.parametrize(
    ("shape", "args", "text"),
    [
        ((4,), (5,), "2 or 3 spatial axes, LABELS has 1"),
        ((4, 4), ((5, 5, 5),), "sigma is a length above 0, or one for each of 2 axes"),
        ((4, 4), (5, 0, 0), "downsample is a whole number from 1 on"),
    ],
)
def test_what_does_not_fit_is_said_at_setup(shape, args, text):
    size = (1,) * len(shape)
    with pytest.raises(gp.PipelineSetupError, match=text):
        described(np.zeros(shape, int), size, gp.Roi((0,) * len(shape), shape), *args)
