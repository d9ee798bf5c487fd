"""Scores of two classes: the golden numbers, and slow and plain counts at each threshold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.evaluation.binary import (
    Confusion,
    ScoreHistogram,
    binary_nll,
    confusion,
    rescale_fudge,
)


def test_golden_numbers():
    labels, called = [1, 1, 1, 0, 0, 0, 0, -1, -1], [1, 1, 0, 1, 0, 0, 0, 1, 0]
    counts = confusion(labels, called)
    assert counts == (2, 3, 1, 1)
    found = (counts.tpr, counts.fpr, counts.precision, counts.recall,
             counts.balanced_accuracy, counts.accuracy, counts.f1)  # fmt: skip
    assert [round(value, 4) for value in found] == [
        0.6667, 0.25, 0.6667, 0.6667, 0.7083, 0.7143, 0.6667
    ]  # fmt: skip
    assert round(np.diff(ScoreHistogram(64).thresholds)[0], 6) == 0.015873
    fudged = rescale_fudge([0, 0.1, 0.15, 0.5, 0.85, 0.9, 1])
    np.testing.assert_allclose(fudged, [0, 0, 0, 0.5, 1, 1, 1], atol=1e-15)
    histogram = ScoreHistogram([0, 0.3, 0.7, 1])
    assert histogram.nearest(0.6) == 2
    assert ScoreHistogram([0, 0.25, 0.75, 1]).nearest(0.5) == 1


def test_ratios_of_nothing():
    nothing = Confusion(0, 0, 0, 0)
    assert nothing.measures() == dict.fromkeys(nothing.measures(), 0) | {"precision": 1}


@st.composite
def maps(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 80))
    truth = rng.integers(-1, 3, n).astype(draw(st.sampled_from(["i1", "i8"])))
    kind = draw(st.sampled_from(["f2", "f4", "f8", "u1", "u2", "?"]))
    scores = rng.normal(0.5, 0.6, n)  # some below 0, some above 1
    if kind in ("u1", "u2", "?"):
        scores = np.clip(scores, 0, 1) * (1 if kind == "?" else np.iinfo(kind).max)
    thresholds = draw(st.sampled_from([1, 2, 64, 256, [0.1, 0.11, 0.9], [-0.3, 0.5, 1.5]]))
    mask = rng.integers(0, 2, n) if draw(st.booleans()) else None
    return truth, scores.round().astype(kind) if kind in ("u1", "u2") else scores.astype(kind), \
        thresholds, mask  # fmt: skip


@given(maps())
def test_counts_at_each_threshold(arrays):
    truth, scores, thresholds, mask = arrays
    histogram = ScoreHistogram(thresholds)
    half = len(truth) // 2
    other = ScoreHistogram(thresholds)
    for part, into in ((slice(half), histogram), (slice(half, None), other)):
        into.add(truth[part], scores[part], mask=None if mask is None else mask[part])
    histogram.merge(other)
    known = (truth >= 0) & (mask != 0 if mask is not None else True)
    largest = {"u": np.iinfo(scores.dtype).max if scores.dtype.kind == "u" else 1}
    values = scores[known].astype(float) / largest.get(scores.dtype.kind, 1)
    positive = truth[known] > 0
    for threshold, counts in zip(histogram.thresholds, histogram.confusions(), strict=True):
        called = values >= threshold
        expected = ((called & positive).sum(), (~called & ~positive).sum(),
                    (called & ~positive).sum(), (~called & positive).sum())  # fmt: skip
        assert counts == expected
        assert histogram.at(threshold) == expected
    assert (histogram.positives, histogram.negatives) == (positive.sum(), (~positive).sum())


@pytest.mark.parametrize("thresholds", [[0.1, 0.11, 0.9], [0.0, 0.8, 0.85, 0.9, 1.0], 256, 7])
def test_a_score_at_a_threshold_is_called_positive(thresholds):
    histogram = ScoreHistogram(thresholds)
    histogram.add(np.ones(len(histogram.thresholds), "u1"), histogram.thresholds)
    assert histogram.counts[1].tolist() == [0] + [1] * len(histogram.thresholds)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(2, 60))
def test_areas(seed, n):
    rng = np.random.default_rng(seed)
    truth, scores = rng.integers(0, 2, n), rng.integers(0, 20, n) / 19
    if len(set(truth)) < 2:
        return
    histogram = ScoreHistogram(20)
    histogram.add(truth, scores)
    above = scores[truth == 1][:, None] - scores[truth == 0]
    assert histogram.roc_area() == pytest.approx(((above > 0) + (above == 0) / 2).mean())
    steps = sorted(set(scores), reverse=True)
    recall = [0] + [(truth[scores >= s]).sum() / truth.sum() for s in steps]
    precision = [truth[scores >= s].mean() for s in steps]
    assert histogram.pr_area() == pytest.approx((np.diff(recall) * precision).sum())


def test_areas_of_many_scores_with_few_thresholds():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 10**4)
    scores = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)
    histogram = ScoreHistogram(64)
    histogram.add(truth, scores)
    above = scores[truth == 1][:, None] > scores[truth == 0]
    assert histogram.roc_area() == pytest.approx(above.mean(), abs=1e-3)


def test_separable_scores():
    truth = np.repeat([0, 1], 50)
    scores = np.r_[np.linspace(0, 0.4, 50), np.linspace(0.6, 1, 50)]
    histogram = ScoreHistogram()
    histogram.add(truth, scores)
    assert (histogram.roc_area(), histogram.pr_area()) == (1, 1)
    assert 0.4 < histogram.best() <= 0.6
    assert histogram.at(histogram.best()).accuracy == 1
    assert histogram.at(0).fpr == 1
    with pytest.raises(ValueError, match="there is no measure 'auc'"):
        histogram.best("auc")


def test_one_class_has_no_area():
    for label in (0, 1):
        histogram = ScoreHistogram()
        histogram.add(np.full(4, label), np.linspace(0, 1, 4))
        assert math.isnan(histogram.roc_area())
        assert math.isnan(histogram.pr_area()) == (label == 0)


def test_what_is_refused():
    histogram, one = ScoreHistogram(), np.ones(3, "u1")
    with pytest.raises(ValueError, match=r"score at \(1,\) .* is not a number"):
        histogram.add(one, np.array([0, math.nan, 1]))
    histogram.add(one, np.array([0, math.nan, 1]), mask=[1, 0, 1] * np.ones(3))
    with pytest.raises(TypeError, match="truth is float32"):
        histogram.add(one.astype("f4"), one / 2)
    with pytest.raises(TypeError, match=r"got int64.*without --scores"):
        histogram.add(one, one.astype("i8"))
    with pytest.raises(ValueError, match="of one shape"):
        histogram.add(one, np.ones(4))
    with pytest.raises(ValueError, match="other thresholds"):
        histogram.merge(ScoreHistogram(3))
    for wrong in ([], [0.5, 0.5], [0.9, 0.1], 0):
        with pytest.raises(ValueError, match="rise"):
            ScoreHistogram(wrong)


def test_entropy():
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 2, 100), rng.random(100)
    right = np.where(truth == 1, scores, 1 - scores)
    assert binary_nll(truth, scores) == pytest.approx(-np.log(right).mean())
    halves = [-np.log(right[truth == kind]).mean() for kind in (0, 1)]
    assert binary_nll(truth, scores, balanced=True) == pytest.approx(np.mean(halves))
    mask = rng.integers(0, 2, 100)
    assert binary_nll(truth, scores, mask=mask) == pytest.approx(-np.log(right[mask == 1]).mean())
    assert binary_nll(np.where(mask, truth, -1), scores) == binary_nll(truth, scores, mask=mask)
    assert math.isfinite(binary_nll([0, 1], [1, 0]))
    assert math.isnan(binary_nll([-1], [0.5]))
    assert math.isnan(binary_nll([1, 1], [0.5, 0.5], balanced=True))
