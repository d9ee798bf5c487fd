import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source

RAW = gp.ArrayKey("RAW")


def zeroed(image, roi=None):
    roi = roi or gp.Roi((0, 0, 0), image.shape[-3:])
    pipeline = source(RAW, image, (1, 1, 1)) + gp.contrib.ZeroOutConstSections(RAW)
    return served(pipeline, gp.BatchRequest({RAW: roi}))[RAW].data


def test_sections_of_one_value():
    image = np.random.default_rng(0).integers(0, 255, (2, 5, 4, 3), np.uint8)
    image[0, 1], image[0, 4], image[1, 2] = 7, 0, 255
    image[1, 3, 0] = 9  # only a row
    wanted = image.copy()
    wanted[0, 1] = wanted[1, 2] = 0
    before = image.copy()
    np.testing.assert_array_equal(zeroed(image), wanted)
    np.testing.assert_array_equal(image, before)


def test_as_far_as_they_are_in_the_batch():
    image = np.arange(8.0).reshape(1, 2, 4)
    image[0, :, 2:] = 5
    assert zeroed(image, gp.Roi((0, 0, 2), (1, 2, 2))).tolist() == [[[0, 0], [0, 0]]]


def test_three_axes():
    pipeline = source(RAW, np.zeros((3, 4, 4)), (1, 1)) + gp.contrib.ZeroOutConstSections(RAW)
    with pytest.raises(gp.PipelineSetupError, match="sections of three axes, RAW has 2"):
        served(pipeline, gp.BatchRequest())
