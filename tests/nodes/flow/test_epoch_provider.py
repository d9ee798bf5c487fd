from collections import Counter

import numpy as np
import pytest

import voxflow as gp

RAW, WHICH = gp.ArrayKey("RAW"), gp.ArrayKey("WHICH")


def inputs(n, augmented=()):
    images = [
        gp.ArraySource(RAW, np.full((6, 6), i, np.float32), spec=gp.ArraySpec(voxel_size=(2, 2)))
        for i in range(n)
    ]
    copies = [
        gp.ArraySource(RAW, np.full((6, 6), i, np.float32), spec=gp.ArraySpec(voxel_size=(2, 2)))
        + gp.IntensityAugment(RAW, 1, 1, 0.1, 0.4, clip=False)
        for i in augmented
    ]
    return (*images, *copies)


def served(node, n, count, seed=1, augmented=(), after=None):
    pipeline = inputs(n, augmented) + node
    pipeline = pipeline if after is None else pipeline + after
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4))})
    with gp.build(pipeline, seed=seed):
        return [pipeline.request_batch(request)[RAW].data[..., 0, 0].tolist() for _ in range(count)]


def test_each_input_once_in_every_epoch_in_an_order_of_its_own():
    found = np.reshape(served(gp.EpochProvider(), 8, 40), (5, 8))
    for epoch in found:
        assert sorted(epoch) == list(range(8))
    assert len({tuple(epoch) for epoch in found}) == 5
    assert found.ravel().tolist() == served(gp.EpochProvider(), 8, 40)
    assert found.ravel().tolist() != served(gp.EpochProvider(), 8, 40, seed=2)


def test_each_original_once_and_variants_that_all_differ():
    node = gp.EpochProvider([1, 1, 3, 3])
    for epoch in np.reshape(served(node, 2, 24, augmented=(0, 1)), (3, 8)):
        assert Counter(epoch % 1 == 0) == {True: 2, False: 6}
        assert Counter(np.floor(epoch)) == {0: 4, 1: 4}
        assert len(set(epoch)) == 8


def test_without_copies_there_are_only_originals():
    found = served(gp.EpochProvider([1, 1, 0, 0]), 2, 10, augmented=(0, 1))
    assert Counter(found) == {0: 5, 1: 5}


def test_workers_and_stacks_keep_the_order():
    alone = served(gp.EpochProvider(2), 3, 12)
    assert served(gp.EpochProvider(2), 3, 12, after=gp.PreCache(3, 2)) == alone
    stacked = served(gp.EpochProvider(2, per_batch=3), 3, 4, after=gp.Stack(3))
    assert np.ravel(stacked).tolist() == alone


def test_in_their_order_and_by_number():
    node = gp.EpochProvider([2, 0, 1], WHICH, shuffle=False)
    pipeline = inputs(3) + node
    request = gp.BatchRequest({RAW: gp.Roi((0, 0), (4, 4)), WHICH: gp.ArraySpec(nonspatial=True)})
    with gp.build(pipeline, seed=1):
        batches = [pipeline.request_batch(request) for _ in range(6)]
    assert [int(batch[WHICH].data) for batch in batches] == [0, 0, 2, 0, 0, 2]
    assert [batch[RAW].data[0, 0] for batch in batches] == [0, 0, 2, 0, 0, 2]


def test_refuses_repeats_that_do_not_fit():
    with (
        pytest.raises(gp.PipelineSetupError, match="2 repeats for 3 inputs"),
        gp.build(inputs(3) + gp.EpochProvider([1, 1])),
    ):
        pass
    for repeats in (0, [], [0, 0], [-1, 2]):
        with pytest.raises(ValueError, match="0 or more, and not all 0"):
            gp.EpochProvider(repeats)
    with pytest.raises(ValueError, match="per_batch"):
        gp.EpochProvider(per_batch=0)


def test_repeats_may_be_numbers_of_numpy():
    assert gp.EpochProvider(np.int64(2)).repeats == 2
    assert gp.EpochProvider(np.array([1, 3])).repeats == [1, 3]
