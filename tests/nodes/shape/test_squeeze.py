import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW, SCALAR = gp.ArrayKey("RAW"), gp.ArrayKey("SCALAR")
WANTED = asking(RAW=((0, 0), (4, 6)))
DATA = np.arange(6.0).reshape(1, 2, 3)


def squeezed(data, *args, **kwargs):
    pipeline = source(RAW, data, (2, 2)) + gp.Squeeze(*args, **kwargs)
    return served(pipeline, WANTED)[RAW].data


def test_removes_a_channel_axis():
    np.testing.assert_array_equal(squeezed(DATA, [RAW]), DATA[0])
    np.testing.assert_array_equal(squeezed(DATA[:, None], [RAW], axis=1), DATA)
    np.testing.assert_array_equal(squeezed(DATA, RAW), DATA[0])


@pytest.mark.parametrize(("data", "axis"), [(DATA, 1), (DATA[0], 0), (DATA[None], 2)])
def test_spatial_axes_are_refused(data, axis):
    with pytest.raises(ValueError, match=rf"got axis={axis}, but RAW has . axes before the 2"):
        squeezed(data, [RAW], axis=axis)


def test_long_axes_are_refused():
    with pytest.raises(ValueError, match="axis 0 of RAW has the length 2"):
        squeezed(np.zeros((2, 2, 3)), [RAW])


@pytest.mark.parametrize("node", [gp.Squeeze, gp.Unsqueeze])
def test_arguments_are_checked_at_once(node):
    with pytest.raises(ValueError, match=r"axis=-1; the last axes are spatial"):
        node([RAW], axis=-1)
    with pytest.raises(TypeError, match="list of ArrayKey, got 'RAW'"):
        node(["RAW"])


@pytest.mark.parametrize("node", [gp.Squeeze, gp.Unsqueeze])
def test_only_what_is_asked_for_is_read(node):
    inputs = source(RAW, DATA, (2, 2)), source(SCALAR, np.zeros((1, 2, 3)), (2, 2))
    pipeline = inputs + gp.MergeProvider() + node([RAW, SCALAR])
    assert SCALAR not in served(pipeline, WANTED)
    with (
        pytest.raises(gp.PipelineSetupError, match="no spec for SCALAR"),
        gp.build(source(RAW, DATA, (2, 2)) + node([SCALAR])),
    ):
        pass


def test_any_axis_of_a_nonspatial_array():
    array = gp.Array(np.zeros((3, 1)), gp.ArraySpec(nonspatial=True))
    pipeline = gp.ArraySource(SCALAR, array) + gp.Squeeze([SCALAR], axis=1)
    request = gp.BatchRequest({SCALAR: gp.ArraySpec(nonspatial=True)})
    assert served(pipeline, request)[SCALAR].data.shape == (3,)
    pipeline = gp.ArraySource(SCALAR, array) + gp.Unsqueeze([SCALAR], axis=2)
    assert served(pipeline, request)[SCALAR].data.shape == (3, 1, 1)
