import numpy as np
import pytest

from voxflow.nodes.sources.kinds import guess_interpolatable


@pytest.mark.parametrize(
    ("dtype", "image"),
    [
        (np.uint8, True),
        (np.float16, True),
        (np.float32, True),
        (np.float64, True),
        (np.uint16, False),
        (np.uint64, False),
        (np.int8, False),
        (np.int64, False),
        (bool, False),
        (None, None),
    ],
)
def test_floats_and_bytes_are_images(dtype, image):
    assert guess_interpolatable(dtype) is image
