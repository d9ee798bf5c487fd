"""Rows that are lines are looked up piece by piece, where data are mirrored."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxflow.ops.maps import rotation
from voxflow.ops.resampling.lines import inner
from voxflow.ops.resampling.rows import BLOCK

NUMBERS = st.floats(-300, 300)


@settings(max_examples=300, deadline=None)
@example(0.5, 0.6875, 145)
@example(-249.0, 2.171875, 161)
@example(-5e-324, 2.0, 17)
@given(NUMBERS, st.floats(-3, 3) | st.sampled_from([0.0, 1.0, -1.0, 1e-300]), st.integers(1, 200))
def test_the_inner_part_is_all_that_is_inside_in_whole_blocks(start, step, n):
    low, high = 0.0, 99.0
    begin, end = inner(np.array([start, step]), n, 0, low, high)
    line = step * np.arange(n, dtype=float) + start
    inside = (line >= low) & (line < high)
    assert 0 <= begin <= end <= n
    assert inside[begin:end].all()
    assert begin % BLOCK == 0
    assert end in (0, n) or end % BLOCK == 0
    # What is inside, and not because of rounding.
    sure = (line > low + 1e-6) & (line < high - 1e-6)
    first = range(0, n, BLOCK)
    blocks = [k for k in first if sure[k : k + BLOCK].all() and (k + BLOCK <= n or sure[k:n].all())]
    if blocks and inside[blocks[0] : blocks[-1] + BLOCK].all():
        assert begin <= blocks[0]
        assert end >= min(blocks[-1] + BLOCK, n)


@pytest.mark.parametrize("order", ["linear", "nearest"])
@pytest.mark.parametrize("angle", np.linspace(0.1, 6, 7))
@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_rows_that_leave_data_show_what_padded_data_do(order, angle, mode):
    from voxflow.ops.resampling.resample import resample

    rng = np.random.default_rng(0)
    data = rng.integers(0, 200, (80, 90)).astype("f8" if order == "linear" else "u2")
    stages = rotation(angle, (40.0, 45.0)).stages()
    padded = np.pad(data, 60, mode=mode)
    where = (1, 1), (-10, -12), (101, 113)
    got = resample(stages, 2, data, (0, 0), *where, order=order, mirror=mode)
    want = resample(stages, 2, padded, (-60, -60), *where, order=order)
    np.testing.assert_allclose(got, want, atol=1e-9)
