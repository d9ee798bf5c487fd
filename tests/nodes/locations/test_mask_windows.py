from collections import Counter
from contextlib import ExitStack
from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from voxflow.nodes.locations import cells, mask_windows
from voxflow.nodes.locations.mask_windows import Need, Places, Windows, masked


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


def means(mask, windows):
    found = np.empty(windows.count)
    for index in np.ndindex(windows.count):
        begin = [f + i * t for f, i, t in zip(windows.first, index, windows.stride, strict=True)]
        region = tuple(slice(b, b + s) for b, s in zip(begin, windows.shape, strict=True))
        found[index] = mask[region].mean()
    return found


@pytest.mark.parametrize("small", [False, True])
@given(masks(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0]), st.integers(0, 400))
def test_agrees_with_counting_each_window(small, case, least, budget):
    mask, windows = case
    sizes = {"_SLAB": 1, "_HELD": 1} if small else {}
    with ExitStack() as stack:
        for name, value in sizes.items():
            stack.enter_context(mock.patch.object(mask_windows, name, value))
        if small:
            stack.enter_context(mock.patch.object(cells, "_BUDGET", budget))
            stack.enter_context(mock.patch.object(cells.Cells.__init__, "__defaults__", (8,)))
        places = Places([Need(masked(mask), windows, least)])
    expected = means(mask, windows)
    assert places.possible == expected.size
    assert places.total == places.enough[0] == (expected >= least).sum()
    assert places.best[0] == pytest.approx(expected.max())
    assert all(places.holds(i) == (expected[i] >= least) for i in np.ndindex(windows.count))
    if places.total:
        rng = np.random.default_rng(1)
        for _ in range(5):
            assert expected[places.draw(rng)] >= least


@given(masks(), st.integers(0, 99))
def test_several_needs_are_all_fulfilled(case, seed):
    mask, windows = case
    other = np.random.default_rng(seed).random(mask.shape) < 0.5
    needs = [Need(masked(mask), windows, 0.5), Need(masked(other), windows, 0.4)]
    places = Places(needs)
    good = (means(mask, windows) >= 0.5, means(other, windows) >= 0.4)
    assert places.enough == [good[0].sum(), good[1].sum()]
    assert places.total == (good[0] & good[1]).sum()
    together = good[0] & good[1]
    assert all(places.holds(i) == together[i] for i in np.ndindex(windows.count))


@pytest.mark.parametrize("budget", [0, 300, 1 << 20])
def test_every_place_is_drawn_equally_often(monkeypatch, budget):
    monkeypatch.setattr(cells, "_BUDGET", budget)
    monkeypatch.setattr(cells.Cells.__init__, "__defaults__", (8,))
    mask = np.random.default_rng(1).random((9, 11)) < 0.4
    mask[0, 0] = mask[-1, -1] = True
    places = Places([Need(masked(mask), Windows((0, 0), (1, 1), (1, 1), mask.shape), 1.0)])
    rng = np.random.default_rng(2)
    drawn = Counter(places.draw(rng) for _ in range(8000))
    assert set(drawn) == {tuple(map(int, i)) for i in np.argwhere(mask)}
    expected = 8000 / mask.sum()
    chi2 = sum((n - expected) ** 2 / expected for n in drawn.values())
    assert chi2 < mask.sum() + 4 * np.sqrt(2 * mask.sum())


@pytest.mark.parametrize("shape", [(255,), (15, 17), (5, 3, 17), (65535,), (300, 300)])
def test_sums_may_run_over_and_come_out_right(shape):
    # All of these fill the dtype that their largest count takes.
    mask = masked(np.ones([3 * n for n in shape], bool))
    windows = Windows((1,) * len(shape), shape, shape, (2,) * len(shape))
    places = Places([Need(mask, windows, 1.0)])
    assert (places.total, places.possible, places.best) == (2 ** len(shape),) * 2 + ([1.0],)
