import pickle
from collections import Counter
from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from voxflow.nodes.locations import mask_windows
from voxflow.nodes.locations.mask_windows import MaskWindows, Windows


@st.composite
def masks(draw):
    dims = draw(st.integers(1, 3))
    axes = []
    for _ in range(dims):
        first, shape = draw(st.integers(0, 3)), draw(st.integers(1, 5))
        stride, count = draw(st.integers(1, 3)), draw(st.integers(1, 5))
        axes.append((first, shape, stride, count, draw(st.integers(0, 9))))
    first, shape, stride, count, _ = zip(*axes, strict=True)
    size = [f + (c - 1) * t + s + m for f, s, t, c, m in axes]
    mask = np.random.default_rng(draw(st.integers(0, 99))).random(size) < draw(st.floats(0, 1))
    return mask, Windows(first, shape, stride, count)


@given(masks(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]))
def test_agrees_with_counting_each_window(case, least):
    mask, windows = case
    means = np.empty(windows.count)
    for index in np.ndindex(windows.count):
        begin = [f + i * t for f, i, t in zip(windows.first, index, windows.stride, strict=True)]
        region = tuple(slice(b, b + s) for b, s in zip(begin, windows.shape, strict=True))
        means[index] = mask[region].mean()
    for slab in (1, 1 << 24):
        with mock.patch.object(mask_windows, "_SLAB", slab):
            places = MaskWindows(mask).places(windows, least)
        assert places.possible == means.size
        assert places.total == (means >= least).sum()
        assert places.best == pytest.approx(means.max())
        assert all(places.holds(i) == (means[i] >= least) for i in np.ndindex(windows.count))


def test_every_place_is_drawn_equally_often(monkeypatch):
    monkeypatch.setattr(mask_windows, "_CHUNK", 8)
    mask = np.random.default_rng(1).random((9, 11)) < 0.4
    places = MaskWindows(mask).places(Windows((0, 0), (1, 1), (1, 1), mask.shape), 1.0)
    rng = np.random.default_rng(2)
    drawn = Counter(places.draw(rng) for _ in range(8000))
    assert set(drawn) == {tuple(map(int, i)) for i in np.argwhere(mask)}
    expected = 8000 / mask.sum()
    chi2 = sum((n - expected) ** 2 / expected for n in drawn.values())
    assert chi2 < mask.sum() + 4 * np.sqrt(2 * mask.sum())


@pytest.mark.parametrize("shape", [(255,), (15, 17), (5, 3, 17), (65535,), (300, 300)])
def test_sums_may_run_over_and_come_out_right(shape):
    # All of these fill the dtype that their largest count takes.
    mask = MaskWindows(np.ones([3 * n for n in shape], bool))
    places = mask.places(Windows((1,) * len(shape), shape, shape, (2,) * len(shape)), 1.0)
    assert (places.total, places.possible, places.best) == (2 ** len(shape),) * 2 + (1.0,)


def test_is_small_to_send():
    mask = MaskWindows(np.ones((64, 64, 64), bool))
    assert len(pickle.dumps(mask)) < 64**3 / 8 + 500
