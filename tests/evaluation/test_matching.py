"""Matches of objects, beside slow and plain ones."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow.evaluation.contingency import contingency
from voxflow.evaluation.matching import Overlaps, average_precision, matches, panoptic_quality


@st.composite
def pairs(draw):
    n = draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    most = draw(st.integers(1, 5))
    return np.sort(rng.integers(0, most, n)), np.sort(rng.integers(0, draw(st.integers(1, 5)), n))


def plain_iou(truth, found):
    ids = [[i for i in np.unique(labels) if i] for labels in (truth, found)]
    iou = [[((truth == a) & (found == b)).sum() / ((truth == a) | (found == b)).sum()
            for b in ids[1]] for a in ids[0]]  # fmt: skip
    return np.array(iou).reshape(len(ids[0]), len(ids[1]))


def most_pairs(enough):
    """Try all ways of matching."""
    few, many = sorted(enough.shape)
    enough = enough if enough.shape[0] == few else enough.T
    return max(
        sum(enough[i, j] for i, j in enumerate(order)) for order in permutations(range(many), few)
    )


@settings(max_examples=30)
@given(pairs(), st.sampled_from([0.01, 0.2, 0.25, 1 / 3, 0.5, 0.6, 0.75, 1]))
def test_as_many_as_can_be_are_matched(arrays, threshold):
    iou = plain_iou(*arrays)
    overlaps = Overlaps.of(contingency(*arrays))
    found = matches(overlaps, threshold)
    assert found.true_positives == most_pairs(iou >= threshold)
    assert found.false_positives == iou.shape[1] - found.true_positives
    assert found.false_negatives == iou.shape[0] - found.true_positives
    assert overlaps.best() == pytest.approx([row.max(initial=0) for row in iou])
    above = iou[iou > 0.5]
    quality = panoptic_quality(overlaps)
    if sum(iou.shape):
        assert quality.quality == pytest.approx(above.sum() / (sum(iou.shape) / 2))
        assert quality.recognition == pytest.approx(2 * len(above) / sum(iou.shape))


def test_scores_of_matches():
    truth = np.repeat([1, 2, 3, 0], 10)
    found = np.r_[np.full(10, 4), np.full(6, 5), np.full(4, 6), np.zeros(10, int), np.full(10, 7)]
    overlaps = Overlaps.of(contingency(truth, found))
    at = matches(overlaps, 0.5)
    assert at[1:] == (2, 2, 1)
    assert (at.precision, at.recall, at.f1) == (0.5, 2 / 3, 4 / 7)
    assert at.average_precision == 2 / 5
    # 0.5, 0.55 and 0.6 match two of them, above only one is left.
    assert average_precision(overlaps) == pytest.approx((3 * 2 / 5 + 7 * 1 / 6) / 10)
    assert panoptic_quality(overlaps) == pytest.approx((1.6 / 2 * 4 / 7, 0.8, 4 / 7))


def test_ids_of_64_bits():
    truth = np.array([2**63, 2**63, 2**64 - 1], "u8")
    found = np.array([2**63 + 1, 2**63 + 1, 2**63 + 2], "u8")
    overlaps = Overlaps.of(contingency(truth, found))
    assert matches(overlaps, 1)[1:] == (2, 0, 0)
    assert overlaps.found.tolist() == [2**63 + 1, 2**63 + 2]


def test_without_objects():
    nothing, one = np.zeros(4, int), np.ones(4, int)
    both = matches(Overlaps.of(contingency(nothing, nothing)))
    assert (both.precision, both.recall) == (1, 1)
    assert math.isnan(both.f1)
    assert math.isnan(both.average_precision)
    assert math.isnan(panoptic_quality(Overlaps.of(contingency(nothing, nothing))).quality)
    missed = matches(Overlaps.of(contingency(one, nothing)))
    assert (missed.precision, missed.recall, missed.f1) == (1, 0, 0)
    invented = matches(Overlaps.of(contingency(nothing, one)))
    assert (invented.precision, invented.recall, invented.f1) == (0, 1, 0)
    assert panoptic_quality(Overlaps.of(contingency(nothing, one))) == (0, 0, 0)


@pytest.mark.parametrize("threshold", [0, -1, 1.1, math.nan])
def test_thresholds_that_are_none(threshold):
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        matches(Overlaps.of(contingency(np.ones(2, int), np.ones(2, int))), threshold)
