import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW, OTHER = gp.ArrayKey("RAW"), gp.ArrayKey("OTHER")


def shifted(data, scale, shift):
    pipeline = source(RAW, data, (1,)) + gp.IntensityScaleShift(RAW, scale, shift)
    with gp.build(pipeline, seed=1):
        array = pipeline.request_batch(asking(RAW=((0,), (len(data),))))[RAW]
        assert pipeline.spec[RAW].dtype == array.spec.dtype == array.data.dtype
    return array.data


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_keep_their_dtype(dtype):
    result = shifted(np.array([0, 0.5, 1], dtype), np.float64(2), -1)
    assert result.dtype == dtype
    assert result.tolist() == [-1, 0, 1]


@pytest.mark.parametrize(("dtype", "wanted"), [("uint8", "float32"), ("int32", "float64")])
def test_integers_become_floats(dtype, wanted):
    result = shifted(np.array([0, 100], dtype), 0.5, -1)
    assert result.dtype == wanted
    assert result.tolist() == [-1, 49]


def test_integers_stay_integers_under_whole_numbers():
    result = shifted(np.array([100, 200], np.uint8), 2, -200)
    assert result.dtype == np.uint8
    assert result.tolist() == [0, 200]
    big = np.array([2**64 - 1], np.uint64)
    assert shifted(big, 1, -1).tolist() == [2**64 - 2]


@pytest.mark.parametrize(("scale", "shift"), [(2, 0), (1, -101), (-1, 0)])
def test_integers_do_not_wrap_around(scale, shift):
    with pytest.raises(ValueError, match=r"RAW values in .* which uint8 cannot hold"):
        shifted(np.array([100, 200], np.uint8), scale, shift)


def test_a_batch_without_the_array_goes_by():
    pipeline = (
        (source(RAW, np.ones(2), (1,)), source(OTHER, np.ones(2), (1,)))
        + gp.MergeProvider()
        + gp.IntensityScaleShift(RAW, 2, 0)
    )
    assert served(pipeline, asking(OTHER=((0,), (2,))))[OTHER].data.tolist() == [1, 1]


def test_takes_the_array_to_minus_one_and_one():
    # the usual step before a network
    result = shifted(np.linspace(0, 1, 3, dtype=np.float32), 2, -1)
    np.testing.assert_allclose(result, [-1, 0, 1])
