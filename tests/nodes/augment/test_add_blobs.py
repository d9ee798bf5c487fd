import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import voxflow as gp
from tests.helpers import asking, served, source

RAW = gp.ArrayKey("RAW")
FLAT = np.full((2, 90, 101), 0.5, np.float32)


def blobs(data=FLAT, seed=1, **kwargs):
    pipeline = source(RAW, data, (1, 1)) + gp.AddBlobs(RAW, **kwargs)
    return served(pipeline, asking(RAW=((0, 0), data.shape[-2:])), seed)[RAW].data


@given(seed=st.integers(0, 2**32), strength=st.floats(-0.4, 0.4), diameter=st.floats(4, 30))
@settings(max_examples=30)
def test_one_blob_is_a_gaussian(seed, strength, diameter):
    made = blobs(
        seed=seed, count=(1, 1), strength=(strength, strength), diameter=(diameter, diameter)
    )
    np.testing.assert_array_equal(made[0], made[1])
    added = (made[0] - 0.5) / strength if abs(strength) > 0.01 else np.zeros(FLAT.shape[1:])
    assert -1e-4 < added.min() <= added.max() < 1.0001
    peak = np.unravel_index(added.argmax(), added.shape)
    if abs(strength) > 0.01 and all(
        16 < p < n - 16 for p, n in zip(peak, added.shape, strict=True)
    ):
        # the full width at half maximum
        assert abs((added[peak[0]] > 0.5).sum() - diameter) <= 1.5
        assert added.max() > 0.85


def test_clips_unless_told_not_to():
    assert blobs(strength=(2, 2)).max() == 1
    assert blobs(strength=(2, 2), clip=False).max() > 2
    assert blobs(strength=(-2, -2)).min() == 0


def test_the_same_seed_gives_the_same_blobs():
    np.testing.assert_array_equal(blobs(seed=3), blobs(seed=3))
    assert (blobs(seed=3) != blobs(seed=4)).any()
    np.testing.assert_array_equal(blobs(count=(0, 0)), FLAT)
    np.testing.assert_array_equal(blobs(p=0), FLAT)


@pytest.mark.parametrize("kwargs", [{"count": (3, 1)}, {"diameter": (0, 1)}, {"strength": (1, 0)}])
def test_mistakes(kwargs):
    with pytest.raises(ValueError, match="goes from low|larger than 0"):
        gp.AddBlobs(RAW, **kwargs)
