"""Regions beyond the border of an array."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.ops.mirrored import mirrored

AXIS = st.tuples(st.integers(1, 6), st.integers(-30, 30), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(st.lists(AXIS, min_size=1, max_size=3), st.integers(0, 1), st.booleans(),
       st.sampled_from(["u1", "f4", "i8", "c16", ">u2"]))  # fmt: skip
def test_as_numpy_pads(axes, lead, repeated, dtype):
    """The region of an array that was padded far enough."""
    sizes, begin, shape = zip(*axes, strict=True)
    data = np.arange(2**lead * np.prod(sizes)).reshape((2,) * lead + sizes).astype(dtype)
    far = [(0, 0)] * lead + [(max(0, -b), max(0, b + n - s)) for s, b, n in axes]
    padded = np.pad(data, far, mode="symmetric" if repeated else "reflect")
    where = tuple(slice(max(0, b), max(0, b) + n) for _, b, n in axes)
    found = mirrored(data, begin, shape, repeated=repeated)
    np.testing.assert_array_equal(found, padded[(..., *where)], strict=True)
    backwards = mirrored(data[..., ::-1].copy()[..., ::-1], begin, shape, repeated=repeated)
    np.testing.assert_array_equal(backwards, found)


def test_what_is_there_is_not_copied():
    data = np.arange(24).reshape(4, 6)
    assert np.shares_memory(mirrored(data, (1, 2), (3, 4)), data)
    assert not np.shares_memory(mirrored(data, (1, 3), (3, 4)), data)
