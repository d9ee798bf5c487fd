from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import voxflow as gp


@given(st.integers(2, 30), st.data(), st.integers(0, 2**63 - 1))
def test_folds_are_disjoint_complete_and_even(n, data, seed):
    k = data.draw(st.integers(2, n))
    folds = gp.k_folds(range(n), k, seed=seed)
    assert len(folds) == k
    for train, valid in folds:
        assert sorted(train + valid) == list(range(n))
        assert train == sorted(train)
    assert sorted(item for _, valid in folds for item in valid) == list(range(n))
    assert {len(valid) for _, valid in folds} <= {n // k, -(-n // k)}
    assert folds == gp.k_folds(range(n), k, seed=seed)


def test_folds_are_drawn():
    assert len({str(gp.k_folds(range(9), 3, seed=seed)) for seed in range(10)}) == 10


def test_holds_out_what_it_is_told():
    assert gp.train_valid_split("abcd", [3, np.int64(0)]) == (["b", "c"], ["a", "d"])
    assert gp.train_valid_split("ab", []) == (["a", "b"], [])


def test_nothing_of_a_volume_held_out_is_trained_with():
    raw = gp.ArrayKey("RAW")
    spec = gp.ArraySpec(voxel_size=(1, 1))
    sources = [gp.ArraySource(raw, np.full((9, 9), i), spec=spec) for i in range(6)]
    for fold, (train, valid) in enumerate(gp.k_folds(range(6), 3)):
        both = []
        for part in (train, valid):
            pipeline = (
                tuple(
                    gp.ArraySource(raw, sources[i].array, spec=spec) + gp.RandomLocation()
                    for i in part
                )
                + gp.RandomProvider()
            )
            request = gp.BatchRequest({raw: gp.Roi((0, 0), (3, 3))})
            with gp.build(pipeline, seed=fold):
                found = {int(pipeline.request_batch(request)[raw].data[0, 0]) for _ in range(60)}
            both.append(found)
        assert both == [set(train), set(valid)]


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_weights_make_classes_alike(classes):
    weights = gp.balanced_weights(classes)
    sums = Counter()
    for value, weight in zip(classes, weights, strict=True):
        sums[value] += weight
    assert np.allclose(list(sums.values()), 1 / len(sums))


def test_a_rare_class_is_seen_as_often_as_a_common_one():
    raw = gp.ArrayKey("RAW")
    classes = [0] * 9 + [1]
    spec = gp.ArraySpec(voxel_size=(1,))
    pipeline = tuple(
        gp.ArraySource(raw, np.full(3, value), spec=spec) for value in classes
    ) + gp.RandomProvider(weights=gp.balanced_weights(classes))
    request = gp.BatchRequest({raw: gp.Roi((0,), (1,))})
    with gp.build(pipeline, seed=1):
        seen = sum(int(pipeline.request_batch(request)[raw].data[0]) for _ in range(1000))
    assert abs(seen - 500) < 4 * np.sqrt(250)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: gp.k_folds("abc", 1), "3 items cannot be split into 1 folds"),
        (lambda: gp.k_folds("abc", 4), "3 items cannot be split into 4 folds"),
        (lambda: gp.train_valid_split("abc", [3, -1]), r"\[-1, 3\] are not there"),
        (lambda: gp.train_valid_split("ab", [0, 1]), "all 2 items are held out"),
    ],
)
def test_refuses_splits_that_leave_nothing(call, text):
    with pytest.raises(ValueError, match=text):
        call()
