import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")
DATA = np.arange(12.0).reshape(2, 2, 3)


def unsqueezed(data, axis):
    pipeline = source(RAW, data, (2, 2)) + gp.Unsqueeze([RAW], axis)
    return served(pipeline, asking(RAW=((0, 2), (4, 4))))[RAW].data


@pytest.mark.parametrize(("axis", "shape"), [(0, (1, 2, 2, 2)), (1, (2, 1, 2, 2))])
def test_inserts_a_channel_axis(axis, shape):
    result = unsqueezed(DATA, axis)
    assert result.shape == shape
    np.testing.assert_array_equal(result.reshape(2, 2, 2), DATA[..., 1:])


@pytest.mark.parametrize(("data", "axis"), [(DATA, 2), (DATA[0], 1)])
def test_not_among_the_spatial_axes(data, axis):
    with pytest.raises(ValueError, match=rf"got axis={axis}, but RAW has"):
        unsqueezed(data, axis)


def test_and_squeeze_are_inverse():
    pipeline = source(RAW, DATA, (2, 2)) + gp.Unsqueeze([RAW], 1) + gp.Squeeze([RAW], 1)
    batch = served(pipeline, asking(RAW=((0, 0), (4, 6))))
    np.testing.assert_array_equal(batch[RAW].data, DATA)
