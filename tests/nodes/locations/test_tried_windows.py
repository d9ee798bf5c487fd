from collections import Counter
from unittest import mock

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tests.nodes.locations.test_mask_windows import masks, means
from voxflow.nodes.locations import cells, tried_windows
from voxflow.nodes.locations.mask_windows import Need, Places, Windows, masked
from voxflow.nodes.locations.tried_windows import EnoughWindows, SummedCounts


def enough(mask, windows, least, counted=None):
    summed = SummedCounts(masked(mask))
    needs = [Need(summed.mask, windows, least)]
    return EnoughWindows([summed], needs, counted or (lambda: Places(needs)))


@given(masks(), st.integers(0, 400))
def test_limits_hold_whatever_the_window(case, budget):
    mask, windows = case
    with (
        mock.patch.object(cells, "_BUDGET", budget),
        mock.patch.object(cells.Cells.__init__, "__defaults__", (8,)),
    ):
        summed = SummedCounts(masked(mask))
        found = means(mask, windows) * windows.size
        index = np.array(list(np.ndindex(windows.count)))
        least, most = summed.limits(index * windows.stride + windows.first, windows.shape)
        counts = [summed.mask.count(windows.part([(i, i + 1) for i in n]).box) for n in index]
    np.testing.assert_array_equal(counts, found.ravel().round())
    assert (least <= counts).all()
    assert (counts <= most).all()
    assert (most - least <= windows.size).all()


@pytest.mark.parametrize("fill", [0, 1])
def test_a_mask_that_is_all_alike_is_told_without_a_look(fill):
    mask = masked(np.full((70, 90), fill, bool))
    with mock.patch.object(mask, "cell", side_effect=AssertionError("looked at")):
        least, most = SummedCounts(mask).limits(np.array([[0, 0], [3, 5], [27, 51]]), (43, 39))
    assert least.tolist() == most.tolist() == [fill * 43 * 39] * 3


@given(masks(), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_what_is_drawn_holds_enough_whether_tried_or_counted(case, least):
    mask, windows = case
    good = means(mask, windows) >= least
    places = enough(mask, windows, least)
    assert all(places.holds(index) == good[index] for index in np.ndindex(windows.count))
    if good.any():
        rng = np.random.default_rng(0)
        assert all(good[places.draw(rng)] for _ in range(5))


@pytest.mark.parametrize("looks", [1, 2, 32])
@pytest.mark.parametrize("least", [0.25, 1.0])
def test_all_places_are_alike_also_where_a_few_tries_are_not_enough(monkeypatch, looks, least):
    monkeypatch.setattr(tried_windows, "_LOOKS", looks)
    monkeypatch.setattr(tried_windows, "_TRIES", (2, 3))
    monkeypatch.setattr(cells.Cells.__init__, "__defaults__", (8,))
    mask = np.random.default_rng(1).random((9, 11)) < 0.5
    windows = Windows((0, 1), (2, 2), (1, 1), (8, 9))
    good = means(mask, windows) >= least
    summed = SummedCounts(masked(mask))
    counted = Places([Need(summed.mask, windows, least)])
    places = enough(mask, windows, least, lambda: counted)
    rng = np.random.default_rng(2)
    drawn = Counter(places.draw(rng) for _ in range(100 * good.sum()))
    assert set(drawn) == {tuple(map(int, i)) for i in np.argwhere(good)}
    chi2 = sum((n - 100) ** 2 / 100 for n in drawn.values())
    assert chi2 < good.sum() + 4 * np.sqrt(2 * good.sum())


def test_common_places_are_never_counted():
    mask = np.zeros((60, 70, 80), bool)
    mask[10:50, 20:60, 20:60] = True
    counted = mock.Mock(side_effect=AssertionError("counted"))
    rng = np.random.default_rng(0)
    for shape in ((9, 8, 7), (12, 13, 14), (30, 20, 25)):
        count = tuple(n - s + 1 for n, s in zip(mask.shape, shape, strict=True))
        windows = Windows((0, 0, 0), shape, (1, 1, 1), count)
        for _ in range(20):
            index = enough(mask, windows, 0.5, counted).draw(rng)
            region = tuple(slice(i, i + s) for i, s in zip(index, shape, strict=True))
            assert mask[region].mean() >= 0.5
