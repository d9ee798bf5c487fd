import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import voxflow as gp
from tests.helpers import asking, served, source
from voxflow.nodes.values import fit_statistics as room

RAW = gp.ArrayKey("RAW")


def volume(seed=0, dtype=np.uint8, shape=(13, 21, 34), mean=120, std=20):
    return np.random.default_rng(seed).normal(mean, std, shape).clip(0, 255).astype(dtype)


@given(
    dtype=st.sampled_from(["u1", "u2", "i2", "f4", "f8", "u8"]),
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=4).map(tuple),
    block=st.integers(1, 9),
    wanted=st.tuples(st.floats(0, 49), st.floats(50, 100)),
)
@settings(max_examples=60, deadline=None)
def test_is_what_numpy_says_of_the_whole(dtype, shape, block, wanted):
    data = volume(shape=shape, dtype=dtype)
    size = gp.Coordinate([3] * len(shape))
    found = gp.fit_statistics(
        source(RAW, data, size), RAW, block_shape=size * block, percentiles=wanted
    )
    assert found.mean == pytest.approx(data.mean(dtype=np.float64), rel=1e-12)
    assert found.std == pytest.approx(data.std(dtype=np.float64), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose((found.low, found.high), np.percentile(data, wanted), rtol=1e-9)


def test_a_sample_is_bounded_and_close(monkeypatch):
    monkeypatch.setattr(room, "_SAMPLE", 2000)
    data = volume(dtype=np.float32, shape=(40, 50, 60))
    found = gp.fit_statistics(source(RAW, data, (1, 1, 1)), RAW, block_shape=(7, 50, 60))
    np.testing.assert_allclose((found.low, found.high), np.percentile(data, (1, 99)), atol=4)
    again = gp.fit_statistics(source(RAW, data, (1, 1, 1)), RAW, block_shape=(7, 50, 60))
    assert found == again


def test_some_blocks_drawn_at_random():
    data = np.repeat(np.arange(50), 10).astype(np.uint8)

    def found(seed):
        line = source(RAW, data, (1,))
        return gp.fit_statistics(line, RAW, block_shape=(10,), blocks=1, seed=seed)

    means = {found(seed).mean for seed in range(20)}
    assert len(means) > 5
    assert all(found(seed).std == 0 for seed in range(3))


def test_volumes_count_alike_or_by_their_voxels():
    small, large = volume(1, shape=(50,), mean=60, std=5), volume(2, shape=(500,), std=30)
    sources = [source(RAW, small, (1,)), source(RAW, large, (1,))]
    found = gp.fit_statistics(sources, RAW, per="volume")
    assert found.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert found.std == pytest.approx((small.std() + large.std()) / 2)
    whole = np.concatenate([small, large])
    found = gp.fit_statistics(sources, RAW)
    assert found.mean == pytest.approx(whole.mean())
    assert found.std == pytest.approx(whole.std())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_standardised_values_have_mean_0_and_deviation_1(dtype):
    data = volume(dtype=dtype)
    found = gp.fit_statistics(source(RAW, data, (4, 2, 2)), RAW)
    stored = json.loads(json.dumps(found.to_dict()))
    assert gp.Statistics.from_dict(stored) == found
    node = gp.Normalize(RAW, mode="standardise", statistics=stored)
    roi = ((0, 0, 0), (52, 42, 68))
    made = served(source(RAW, data, (4, 2, 2)) + node, asking(RAW=roi))[RAW].data
    assert made.dtype == np.float32
    assert made.mean(dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert made.std(dtype=np.float64) == pytest.approx(1, abs=1e-5)


def test_percentiles_become_0_and_1():
    data = np.arange(101, dtype=np.uint8)
    found = gp.fit_statistics(source(RAW, data, (1,)), RAW, percentiles=(10, 90))
    node = gp.Normalize(RAW, mode="percentiles", statistics=found)
    made = served(source(RAW, data, (1,)) + node, asking(RAW=((0,), (101,))))[RAW].data
    np.testing.assert_allclose(made, np.clip((np.arange(101) - 10) / 80, 0, 1), atol=1e-6)


def test_mistakes():
    line, statistics = source(RAW, np.array([1.0, np.nan]), (1,)), gp.Statistics(0, 0, 1, 1)
    with pytest.raises(ValueError, match="not finite"):
        gp.fit_statistics(line, RAW)
    with pytest.raises(ValueError, match="bounded region"):
        gp.fit_statistics(line + gp.Pad(RAW, None), RAW)
    with pytest.raises(ValueError, match="no source"):
        gp.fit_statistics([], RAW)
    with pytest.raises(ValueError, match="per has to be"):
        gp.fit_statistics(line, RAW, per="block")
    with pytest.raises(ValueError, match="from low to high"):
        gp.fit_statistics(line, RAW, percentiles=(9, 3))
    for mode in ("standardise", "percentiles"):
        with pytest.raises(ValueError, match="all values are alike"):
            gp.Normalize(RAW, mode=mode, statistics=statistics)
    with pytest.raises(ValueError, match="mode has to be"):
        gp.Normalize(RAW, mode="other", statistics=statistics)
    with pytest.raises(ValueError, match="together with statistics"):
        gp.Normalize(RAW, mode="standardise")
    with pytest.raises(ValueError, match="together with statistics"):
        gp.Normalize(RAW, 0.5, mode="standardise", statistics=statistics)


def test_bools_are_0_and_1():
    line = source(RAW, np.array([True, False, True, True]), (1,))
    found = gp.fit_statistics(line, RAW, percentiles=(0, 50))
    assert (found.mean, found.low, found.high) == (0.75, 0, 1)


def test_volumes_of_other_kinds_of_numbers_have_no_percentiles():
    lines = [source(RAW, np.arange(9, dtype=dtype), (1,)) for dtype in (np.uint8, np.float32)]
    with pytest.raises(ValueError, match="put Normalize or AsType after their sources"):
        gp.fit_statistics(lines, RAW)
