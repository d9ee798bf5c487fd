import numpy as np
import pytest

import voxflow as gp
from tests.helpers import served, source

LABELS, CLASSES = gp.ArrayKey("LABELS"), gp.ArrayKey("CLASSES")
IDS = np.array([[5, 5, 5, 5, 5, 5, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0]] * 2)


def classes(**kwargs):
    asked = gp.BatchRequest({CLASSES: gp.Roi((0, 0), IDS.shape)})
    node = gp.LabelsToClasses(LABELS, CLASSES, **kwargs)
    return served(source(LABELS, IDS, (1, 1)) + node, asked)[CLASSES].data


@pytest.mark.parametrize(
    ("kwargs", "wanted"),
    [
        ({}, [1] * 5 + [2] * 2 + [1] * 4 + [2] * 2 + [0] * 3),
        ({"thickness": 2}, [1] * 4 + [2] * 4 + [1] * 2 + [2] * 4 + [0] * 2),
        ({"touching_only": True}, [1] * 5 + [2] * 2 + [1] * 5 + [0] * 4),
        ({"touching_only": True, "thickness": 9}, [2] * 12 + [0] * 4),
        ({"axes": [0]}, [1] * 12 + [0] * 4),
        ({"background_value": 7}, [1] * 5 + [2] * 2 + [0] * 4 + [2] * 2 + [1] * 3),
    ],
)
def test_background_interior_boundary(kwargs, wanted):
    plain = classes(**kwargs)
    assert plain.dtype == np.uint8
    assert plain.tolist() == [wanted] * 2
    channels = classes(one_hot=True, **kwargs)
    assert channels.dtype == np.uint8
    np.testing.assert_array_equal(channels, np.arange(3)[:, None, None] == plain)
    assert (channels.sum(axis=0) == 1).all()
