import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, specs

RAW, TABLE = gp.ArrayKey("RAW"), gp.ArrayKey("TABLE")


def array(**spec):
    roi = gp.Roi((9.8, 4), (49, 12))
    data = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    return gp.Array(data, gp.ArraySpec(roi, (9.8, 4), **spec), {"stain": "silver"})


def test_regions():
    source = gp.GPArraySource(RAW, array())
    part = served(source, asking(RAW=((19.6, 8), (9.8, 8))))[RAW]
    np.testing.assert_array_equal(part.data, array().data[:, 1:2, 1:])
    assert part.attrs == {"stain": "silver"}
    with specs(source) as spec:
        assert spec[RAW].roi == array().spec.roi


def test_what_is_served_is_not_the_array():
    own = array()
    batch = served(gp.GPArraySource(RAW, own), asking(RAW=own.spec.roi))
    batch[RAW].data[:] = -1
    batch[RAW].attrs["stain"] = "none"
    np.testing.assert_array_equal(own.data, array().data)
    assert own.attrs == {"stain": "silver"}


def test_nonspatial():
    table = gp.Array(np.arange(4), gp.ArraySpec(nonspatial=True))
    request = gp.BatchRequest()
    request[TABLE] = gp.ArraySpec(nonspatial=True)
    assert served(gp.GPArraySource(TABLE, table), request)[TABLE].data.tolist() == [0, 1, 2, 3]


def test_mistakes():
    with pytest.raises(TypeError, match="ArraySource takes anything"):
        gp.GPArraySource(RAW, np.zeros(3))
    with pytest.raises(TypeError, match="ArrayKey"):
        gp.GPArraySource(gp.GraphKey("points"), array())
