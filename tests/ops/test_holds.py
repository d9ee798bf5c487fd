"""Which numbers a type has."""

import numpy as np
import pytest

from voxflow.ops.holds import holds


@pytest.mark.parametrize(
    ("dtype", "there", "missing"),
    [
        ("?", (0, 1, 1.0), (2, -1, 0.5, np.nan)),
        ("u1", (0, 255, 7.0), (-1, 256, 0.5, np.nan, np.inf)),
        ("i2", (-(2**15), 2**15 - 1), (2**15, -np.inf)),
        ("u8", (2**64 - 1,), (2**64, -1)),
        ("f4", (0.5, -1, 2**70, np.nan), ()),
        ("c8", (0.5,), ()),
    ],
)
def test_numbers(dtype, there, missing):
    assert all(holds(np.dtype(dtype), value) for value in there)
    assert not any(holds(np.dtype(dtype), value) for value in missing)
