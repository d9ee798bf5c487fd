import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import ndimage

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")
SIZE = gp.Coordinate(4, 1)
DATA = np.random.default_rng(0).random((2, 30, 41)).astype(np.float32)
WHOLE = ((0, 0), (120, 41))


def blurred(roi=WHOLE, data=DATA, seed=1, **kwargs):
    return served(source(RAW, data, SIZE) + gp.Blur(RAW, **kwargs), asking(RAW=roi), seed)[RAW].data


@pytest.mark.parametrize(("unit", "sigma"), [("voxel", (0, 2, 2)), ("world", (0, 0.5, 2))])
def test_a_gaussian_for_each_channel(unit, sigma):
    wanted = ndimage.gaussian_filter(DATA, sigma)
    np.testing.assert_allclose(blurred(sigma=(2, 2), unit=unit), wanted, atol=1e-6)


@given(
    begin=st.tuples(st.integers(0, 25), st.integers(0, 35)),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 6)),
    sigma=st.floats(0, 4),
)
@settings(max_examples=30)
def test_a_block_is_that_part_of_the_whole(begin, shape, sigma):
    roi = (gp.Coordinate(begin) * SIZE, gp.Coordinate(shape) * SIZE)
    where = tuple(slice(b, b + n) for b, n in zip(begin, shape, strict=True))
    whole = blurred(sigma=(sigma, sigma))
    np.testing.assert_allclose(blurred(roi, sigma=(sigma, sigma)), whole[(..., *where)], atol=1e-6)


def test_sigma_is_drawn_from_the_request():
    np.testing.assert_array_equal(blurred(seed=3), blurred(seed=3))
    assert (blurred(seed=3) != blurred(seed=4)).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_the_dtype_stays(dtype):
    assert blurred(data=DATA.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("kwargs", [{"sigma": (2, 1)}, {"sigma": (-1, 1)}, {"unit": "nm"}])
def test_mistakes(kwargs):
    with pytest.raises(ValueError, match="sigma goes|unit has"):
        gp.Blur(RAW, **kwargs)
