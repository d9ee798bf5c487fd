"""Variation of information, pairs of voxels: as scikit-image has them, and where it has none."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxflow import Coordinate
from voxflow.evaluation.contingency import contingency
from voxflow.evaluation.objects import object_table, worst_merges, worst_splits
from voxflow.evaluation.partition import (
    adapted_rand,
    cremi_score,
    rand_index,
    variation_of_information,
)

metrics = pytest.importorskip("skimage.metrics")


@st.composite
def pairs(draw):
    """Two segmentations of one shape: random, one object, one object a voxel, equal."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = rng.integers(0, draw(st.integers(1, 9)), shape)
    kinds = {
        "random": lambda: rng.integers(0, draw(st.integers(1, 9)), shape),
        "one": lambda: np.ones(shape, int),
        "each": lambda: np.arange(truth.size).reshape(shape),
        "equal": lambda: truth.max() + 3 - truth,
        "coarse": lambda: truth // 2,
    }
    return truth, kinds[draw(st.sampled_from(sorted(kinds)))]()


@given(pairs(), st.booleans())
def test_it_is_what_scikit_image_gives(arrays, ignore):
    truth, found = arrays
    ignored = (0,) if ignore else ()
    table = contingency(truth, found).without(ignored)
    if table.total == 0:
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        split, merge = metrics.variation_of_information(truth, found, ignore_labels=ignored)
        error, of_truth, of_found = metrics.adapted_rand_error(truth, found, ignore_labels=ignored)
    ours, pairs = variation_of_information(table), adapted_rand(table)
    np.testing.assert_allclose([ours.split, ours.merge], [split, merge], atol=1e-9)
    if not math.isnan(error):
        assert pairs.error == pytest.approx(error, abs=1e-9)
    # scikit-image calls the share of the truth's pairs precision; it is the recall.
    for mine, theirs in [(pairs.recall, of_truth), (pairs.precision, of_found)]:
        assert mine == pytest.approx(theirs) if not math.isnan(theirs) else mine == 1


@given(pairs())
def test_rand_index_is_the_share_of_pairs_that_agree(arrays):
    truth, found = (array.ravel() for array in arrays)
    a, b = (array[:, None] == array for array in (truth, found))
    apart = ~np.eye(len(truth), dtype=bool)
    expected = (a == b)[apart].mean() if len(truth) > 1 else 1
    assert rand_index(contingency(truth, found)) == pytest.approx(expected)


@settings(max_examples=30)
@given(pairs())
def test_scattered_voxels_are_objects_of_their_own(arrays):
    truth, found = arrays
    alone = np.where(found == 0, 10**6 + np.arange(found.size).reshape(found.shape), found)
    expected, table = contingency(truth, alone), contingency(truth, found).scatter(0)
    for score in (variation_of_information, adapted_rand, rand_index, cremi_score):
        np.testing.assert_allclose(score(table), score(expected), atol=1e-9)


@settings(max_examples=30)
@given(pairs())
def test_what_objects_add_sums_up(arrays):
    table = contingency(*arrays)
    score = variation_of_information(table)
    splits = worst_splits(table, count=1000)
    merges = worst_merges(table, count=1000, pieces=1000)
    assert sum(entry.bits for entry in splits) == pytest.approx(score.split, abs=1e-9)
    assert sum(entry.bits for entry in merges) == pytest.approx(score.merge, abs=1e-9)
    assert [e.bits for e in splits] == sorted((e.bits for e in splits), reverse=True)
    assert all(sum(p.voxels for p in m.pieces) == m.voxels for m in merges)
    rows = object_table(table)
    assert rows.ids.tolist() == sorted(set(arrays[0].ravel().tolist()) - {0})
    assert rows.voxels.tolist() == [(arrays[0] == i).sum() for i in rows.ids]
    assert [arrays[0][*place] for place in rows.positions] == rows.ids.tolist()
    for entry in splits:
        for piece in entry.pieces:
            where = tuple(int(p) for p in piece.position)  # cut off half a voxel
            assert (arrays[0][where], arrays[1][where]) == (entry.id, piece.id)


def test_golden_numbers():
    truth, merged = np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1])
    # With each voxel a pair with itself, Rand F of one merge is .6667: 2 * 8 / (8 + 16).
    for a, b in [(truth, merged), (merged, truth)]:
        assert cremi_score(contingency(a, b)) == pytest.approx(math.sqrt(1 * 0.5))
    assert adapted_rand(contingency(truth, truth * 5)) == (0, 1, 1)
    assert variation_of_information(contingency(truth, truth * 5)).total == 0
    assert variation_of_information(contingency(truth, merged)) == (0, 1)
    assert variation_of_information(contingency(merged, truth)) == (1, 0)


def test_without_voxels_nothing_is_a_number():
    for table in (contingency(np.zeros(0, int), np.zeros(0, int)),
                  contingency(np.zeros(5, int), np.ones(5, int)).without([0])):  # fmt: skip
        assert all(map(math.isnan, variation_of_information(table)))
        assert all(map(math.isnan, adapted_rand(table)))
        assert math.isnan(rand_index(table))
        assert math.isnan(cremi_score(table))
        assert worst_splits(table) == worst_merges(table) == []
        assert len(object_table(table).ids) == 0


def test_one_voxel_is_right():
    table = contingency(np.array([3]), np.array([4]))
    assert adapted_rand(table) == (0, 1, 1)
    assert rand_index(table) == 1
    assert variation_of_information(table).total == 0


def test_counts_beyond_what_squares_of_integers_hold():
    table = contingency(np.array([1, 1, 2, 2]), np.array([1, 1, 1, 2]))
    large = type(table)(
        table.truth, table.found, table.voxels * 10**12, table.runs, table.places, table.shape
    )
    assert variation_of_information(large) == pytest.approx(variation_of_information(table))
    # Truth: two objects of 2n voxels. Together in both: 2n of one, n and n of the other.
    assert adapted_rand(large).recall == pytest.approx((4 + 1 + 1) / (4 + 4))


def test_positions_are_in_the_world():
    truth = np.zeros((4, 10), int)
    truth[2, 3:8] = 7
    found = np.where(np.arange(10) < 6, 1, 2) * np.ones((4, 1), int)
    table = contingency(truth, found).without([0])
    (worst,) = worst_splits(table, (50, 9.8), (100, -4.9))
    assert (worst.id, worst.voxels, worst.count) == (7, 5, 2)
    assert [p.id for p in worst.pieces] == [1, 2]
    assert worst.pieces[0].position == Coordinate(2.5 * 50 + 100, 4.5 * 9.8 - 4.9)
