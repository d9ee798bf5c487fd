"""Maps of scores and affinities in files, and thresholds that are tried."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from voxflow.evaluation import aligned
from voxflow.evaluation.contingency import contingency
from voxflow.evaluation.evaluate import scores_of
from voxflow.evaluation.scores import evaluate_scores, thresholds_between
from voxflow.evaluation.sweep import _check_memory, affinity_components, sweep
from voxflow.stores import ArrayDataset

OFFSETS = [[-1, 0], [0, -1], [0, 3], [2, -1]]


def array(data, offset, voxel_size=(4, 4), **attrs):
    attrs |= {"resolution": list(voxel_size), "offset": list(offset)}
    return ArrayDataset(data, attrs=attrs)


def world(seed=0, shape=(9, 12)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, shape).repeat(2, 1)[:, : shape[1]].astype("u8")
    return labels, rng.random((len(OFFSETS), *shape)).astype("f4")


def plain_pairs(labels, scores, channels, mask=None):
    """Slow and plain: (same object, score) of all pairs that are labelled."""
    found = []
    for channel in channels:
        for here in np.ndindex(labels.shape):
            there = tuple(np.add(here, OFFSETS[channel]))
            if not all(0 <= t < n for t, n in zip(there, labels.shape, strict=True)):
                continue
            if labels[here] and labels[there] and (mask is None or mask[here]):
                found.append((labels[here] == labels[there], scores[channel][here]))
    return np.array(found, float)


@pytest.mark.parametrize("channels", [None, [0, 1], [3]])
@pytest.mark.parametrize("voxels", [20, 10**6])
def test_affinities_of_ids(channels, voxels, monkeypatch):
    monkeypatch.setattr(aligned.block_shape, "__defaults__", (voxels,))
    labels, scores = world()
    mask = (np.arange(labels.size) % 5 > 0).reshape(labels.shape)
    found = evaluate_scores(
        array(labels, (8, 4)), array(scores, (8, 4), affinity_neighborhood=OFFSETS),
        mask=array(mask, (8, 4)), channels=channels, threshold=0.4,
    )  # fmt: skip
    pairs = plain_pairs(labels, scores, channels or range(4), mask)
    called, same = pairs[:, 1] >= found.threshold, pairs[:, 0] == 1
    assert found.confusion == ((called & same).sum(), (~called & ~same).sum(),
                               (called & ~same).sum(), (~called & same).sum())  # fmt: skip
    assert found.threshold == pytest.approx(0.4, abs=1 / 255)


def test_affinities_where_only_a_part_is_covered():
    labels, scores = world()
    found = evaluate_scores(
        array(labels, (0, 0)), array(scores[:, :, :7], (8, 12)), neighborhood=OFFSETS,
        ignore=[3],
    )  # fmt: skip
    part = np.where(labels == 3, 0, labels)[2:, 3:10]
    pairs = plain_pairs(part, scores[:, :7, :7], range(4))
    assert found.histogram.positives == pairs[:, 0].sum()
    assert found.histogram.positives + found.histogram.negatives == len(pairs)
    assert len(found.notes) == 2


def test_classes(monkeypatch):
    monkeypatch.setattr(aligned.block_shape, "__defaults__", (20,))
    labels, scores = world()
    found = evaluate_scores(labels, scores[0], ignore=[2])
    known = labels != 2
    called = scores[0] >= found.threshold
    assert found.confusion.true_positives == (called & (labels > 0) & known).sum()
    assert found.confusion.true_negatives == (~called & (labels == 0)).sum()
    assert found.scores["accuracy"] == max(c.accuracy for c in found.histogram.confusions())
    signed = np.where(labels == 2, -1, labels.astype("i8"))
    assert evaluate_scores(signed, scores[0]).scores == found.scores
    one = evaluate_scores(array(labels, (0, 0)), array(scores, (0, 0)), channels=[0], ignore=[2])
    assert one.scores == found.scores
    plain = json.loads(json.dumps(found.to_json()))
    total = found.histogram.positives + found.histogram.negatives
    assert sum(map(sum, plain["histogram"].values())) == known.sum() == total


def test_what_is_refused():
    labels, scores = world()
    with pytest.raises(ValueError, match=r"4 channels, and does not say .*affinity_neighborhood"):
        evaluate_scores(array(labels, (0, 0)), array(scores, (0, 0)))
    with pytest.raises(ValueError, match="4 channels, and does not say"):
        sweep(array(labels, (0, 0)), array(scores, (0, 0)), [0.5])
    with pytest.raises(ValueError, match="has 4 channels and 2 axes, but its neighborhood"):
        evaluate_scores(
            array(labels, (0, 0)), array(scores, (0, 0), affinity_neighborhood=[[-1, 0]])
        )
    with pytest.raises(TypeError, match="the truth"):
        evaluate_scores(scores[0], scores[0])
    with pytest.raises(TypeError, match="got uint64"):
        evaluate_scores(labels, labels)
    with pytest.raises(ValueError, match="cut at a threshold"):
        sweep(array(labels, (0, 0)), array(scores[2:], (0, 0)), [0.5], neighborhood=OFFSETS[2:])


def test_ranges_of_thresholds():
    assert list(thresholds_between(0.1, 0.9, 0.2)) == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert list(thresholds_between(0, 1, 0.3)) == [0, 0.3, 0.6, 0.9]
    for wrong in [(0, 1, 0), (1, 0, 0.1), (0, 1, -1)]:
        with pytest.raises(ValueError, match="rises"):
            list(thresholds_between(*wrong))


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_components_of_affinities(seed, dims):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, dims))
    labels = rng.integers(0, 3, shape)
    offsets = [[-(a == axis) for a in range(dims)] for axis in range(dims)]
    if seed % 2:
        offsets = (-np.array(offsets)).tolist()
    joined = np.zeros((dims, *shape), bool)
    for channel, offset in zip(joined, offsets, strict=True):
        for here in np.ndindex(shape):
            there = tuple(np.add(here, offset))
            outside = not all(0 <= t < n for t, n in zip(there, shape, strict=True))
            channel[here] = outside or labels[here] == labels[there] != 0
    found = affinity_components(joined, offsets)
    expected = np.zeros(shape, int)
    for number in (1, 2):
        parts, count = label(labels == number)
        for part in range(1, count + 1):
            if (parts == part).sum() > 1:
                expected[parts == part] = expected.max() + 1
    table = contingency(expected, found)
    assert len(table.truth) == len(set(table.truth)) == len(set(table.found))
    assert ((found == 0) == (expected == 0)).all()


def test_a_sweep_of_a_map_and_of_affinities():
    truth = np.repeat([[1, 2, 3]], 4, axis=0).repeat(4, axis=1).astype("u8")
    scores = np.full(truth.shape, 0.8)
    scores[:, [3, 7]] = 0.5
    found = sweep(truth, scores, [0.3, 0.6, 0.9])
    assert found.best == 1
    for threshold, row in zip(found.thresholds, found.scores, strict=True):
        parts = label(scores >= threshold)[0]
        np.testing.assert_equal(row, scores_of(contingency(truth, parts)))
    same = np.stack([np.ones(truth.shape), np.roll(truth, 1, 1) == truth]).astype("u1") * 200
    same[1, :, 8] = 100
    pairs = array(same, (0, 0), affinity_neighborhood=[[-1, 0], [0, -1]])
    found = sweep(array(truth, (0, 0)), pairs, [0.2, 0.5, 0.9])
    assert [row["objects_found"] for row in found.scores] == [2, 3, 0]
    assert found.scores[1]["voi"] == 0
    assert json.loads(json.dumps(found.to_json()))["best"] == 0.5
    assert math.isnan(sweep(truth * 0, scores, [0.3]).scores[0]["voi"])


def test_a_sweep_that_does_not_fit_is_refused():
    large = np.broadcast_to(np.zeros((), "u8"), (10**4,) * 3)
    part = aligned.placed(ArrayDataset(large), "truth")
    with pytest.raises(MemoryError, match=r"GiB of memory.*block by block"):
        _check_memory(aligned.align(part, part))
