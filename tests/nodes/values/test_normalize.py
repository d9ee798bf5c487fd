import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")


def normalized(data, request=None, **kwargs):
    pipeline = source(RAW, np.asarray(data), (1,)) + gp.Normalize(RAW, **kwargs)
    return served(pipeline, request or asking(RAW=((0,), (len(data),))))[RAW]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("wanted", ["float16", "float32", "float64"])
def test_integers_go_from_exactly_0_to_exactly_1(dtype, wanted):
    top = np.iinfo(dtype).max
    array = normalized(np.array([0, top // 3, top], dtype), dtype=wanted)
    assert array.data.dtype == array.spec.dtype == wanted
    assert array.data[0] == 0
    assert array.data[2] == 1
    assert array.data[1] == pytest.approx(1 / 3, rel=1e-3)


def test_floats_stay_as_they_are():
    data = np.array([0, 0.25, 1], np.float32)
    np.testing.assert_array_equal(normalized(data).data, data)
    assert normalized(data.astype(np.float64)).data.dtype == np.float32


@pytest.mark.parametrize("bad", [2.0, -0.1, np.nan])
def test_floats_have_to_lie_between_0_and_1(bad):
    with pytest.raises(ValueError, match=r"expects floating point values of RAW in \[0, 1\]"):
        normalized(np.array([0.5, bad]))


def test_a_factor_takes_anything():
    assert normalized(np.array([-2, 4], np.int32), factor=0.5).data.tolist() == [-1, 2]
    assert normalized(np.array([300.0]), factor=1).data.tolist() == [300]


def test_a_dtype_without_factor_is_known_before_the_run():
    with (
        pytest.raises(gp.PipelineSetupError, match=r"no factor for RAW, which is int32.*factor="),
        gp.build(source(RAW, np.zeros(3, np.int32), (1,)) + gp.Normalize(RAW)),
    ):
        pass


def test_the_dtype_that_it_makes_can_be_asked_for():
    wanted = gp.ArraySpec(gp.Roi((0,), (2,)), dtype=np.float32)
    array = normalized(np.array([0, 255], np.uint8), asking(RAW=wanted))
    assert array.data.tolist() == [0, 1]


def test_it_makes_only_floats():
    with pytest.raises(ValueError, match="floating point values, got dtype=uint8"):
        gp.Normalize(RAW, dtype=np.uint8)


def test_the_source_is_left_alone():
    data = np.array([0.0, 0.5], np.float32)
    normalized(data, factor=2)
    assert data.tolist() == [0, 0.5]
