import numpy as np
import pytest

from voxflow.ops.rescale import Grid, rescale
from voxflow.ops.resize import resize


def test_bools_are_rounded():
    made = resize(np.array([True, False, False, False]), (8,), linear=True)
    assert made.tolist() == [True, True] + [False] * 6


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_the_largest_integers_do_not_run_over(dtype):
    most = np.iinfo(dtype).max
    resized = resize(np.full((3, 3), most, dtype), (2, 5), linear=True)
    rescaled = rescale(np.full(3, most, dtype), Grid((0,), (2,)), Grid((0,), (1,)), (6,))
    for made in (resized, rescaled):
        assert made.dtype == dtype
        assert (made >= most * (1 - 2**-20)).all()
