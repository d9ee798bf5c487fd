import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.ops.recipe import Recipe

RAW = gp.ArrayKey("RAW")
DATA = np.random.default_rng(0).random((3, 4, 7, 8)).astype(np.float32)
ALL = asking(RAW=((0, 0, 0), (4, 7, 8)))
SAME = {"gain": (1, 1), "shift": (0, 0), "gamma": (1, 1)}


def grey(data=DATA, seed=1, **kwargs):
    node = gp.GreyAugment(RAW, **kwargs)
    return served(source(RAW, data, (1, 1, 1)) + node, ALL, seed)[RAW].data


@pytest.mark.parametrize("per", ["batch", "section", "channel"])
@pytest.mark.parametrize("mean_centred", [False, True])
def test_no_gain_no_shift_no_gamma_change_nothing(per, mean_centred):
    same = grey(per=per, mean_centred=mean_centred, **SAME)
    np.testing.assert_allclose(same, DATA, atol=2e-7 if mean_centred else 0)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40)
def test_half_stays_between_what_the_defaults_can_make_of_it(seed):
    data = grey(np.full_like(DATA, 0.5), seed)
    # (.5 * .85 - .15) ** 2 and (.5 * 1.15 + .15) ** .5
    assert 0.0756 <= data.min() <= data.max() <= 0.8515


@pytest.mark.parametrize(("per", "axis"), [("section", 1), ("channel", 0)])
def test_each_by_itself(per, axis):
    data = grey(np.full_like(DATA, 0.5), per=per)
    seen = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
    assert (seen == seen[:, :1]).all()
    assert len(set(seen[:, 0].tolist())) == data.shape[axis]


def test_all_alike_in_a_batch():
    assert np.ptp(grey(np.full_like(DATA, 0.5))) == 0


@pytest.mark.parametrize("per", ["batch", "section", "channel"])
@pytest.mark.parametrize("mean_centred", [False, True])
def test_other_channels_keep_every_bit(per, mean_centred):
    data = DATA * 3 - 1  # which clipping would change
    made = grey(data, per=per, mean_centred=mean_centred, channels=[1])
    np.testing.assert_array_equal(made[[0, 2]], data[[0, 2]])
    assert (made[1] != data[1]).mean() > 0.9
    np.testing.assert_array_equal(grey(data, per=per, channels=[]), data)


@given(
    gain=st.floats(0, 2), shift=st.floats(-1, 1), gamma=st.floats(0.25, 4), per=st.booleans(),
    centred=st.booleans(),
)  # fmt: skip
@settings(max_examples=40)
def test_the_formula(gain, shift, gamma, per, centred):
    kwargs = {"gain": (gain, gain), "shift": (shift, shift), "gamma": (gamma, gamma)}
    made = grey(per="section" if per else "batch", mean_centred=centred, **kwargs)
    values = DATA.astype(np.float64)
    mean = values.mean((0, 2, 3) if per else None, keepdims=True) if centred else 0
    wanted = np.clip(mean + gain * (values - mean) + shift, 0, 1) ** gamma
    # near 0 a root is steep: what is behind it has to agree
    np.testing.assert_allclose(made ** (1 / gamma), wanted ** (1 / gamma), atol=3e-6)


def test_the_draws_have_their_distributions():
    half, values = np.full_like(DATA, 0.5), []
    pipeline = source(RAW, half, (1, 1, 1)) + gp.GreyAugment(
        RAW, gain=(1, 1), shift=(0, 0), gamma=(0.5, 2)
    )
    with gp.build(pipeline, seed=1):
        values = [pipeline.request_batch(ALL)[RAW].data.flat[0] for _ in range(400)]
    exponents = np.log2(np.log(values) / np.log(0.5))
    assert -1 <= exponents.min() < -0.97
    assert 0.97 < exponents.max() <= 1
    assert abs(exponents.mean()) < 4 * np.sqrt(1 / 3 / 400)


def test_a_chain_of_changes_is_not_made_before_somebody_looks():
    seen = []

    class Peek(gp.BatchFilter):
        looks_at_nothing = True

        def process(self, batch, request):
            seen.append(batch[RAW].deferred)

    data = (DATA * 255).astype(np.uint8)
    pipeline = source(RAW, data, (1, 1, 1)) + gp.Normalize(RAW)
    pipeline += gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1)
    pipeline += gp.GreyAugment(RAW, per="section") + gp.IntensityAugment(RAW, 1, 1, 0, 0) + Peek()
    made = served(pipeline, ALL)[RAW].data
    assert isinstance(seen[0], Recipe)
    assert seen[0].data.dtype == np.uint8
    assert made.dtype == np.float32
    assert 0 <= made.min() < made.max() <= 1


def test_elektronn_changes_the_first_channel():
    node = gp.GreyAugment.elektronn(RAW)
    made = served(source(RAW, DATA, (1, 1, 1)) + node, ALL)[RAW].data
    np.testing.assert_array_equal(made[1:], DATA[1:])
    assert (made[0] != DATA[0]).any()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"gain": (2, 1)}, "gain goes from low to high"),
        ({"gamma": (0, 1)}, "larger than 0"),
        ({"clip": False}, "gamma needs"),
        ({"per": "voxel"}, "per has to be"),
        ({"channels": [3]}, "has 3, counted from 0"),
    ],
)
def test_mistakes(kwargs, message):
    with pytest.raises(ValueError, match=message):
        grey(**kwargs)
