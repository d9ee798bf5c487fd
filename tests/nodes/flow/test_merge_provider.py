import numpy as np
import pytest

import voxflow as gp

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")
SPEC = gp.ArraySpec(voxel_size=(4, 2))


def source(key, value, shape=(5, 5)):
    return gp.ArraySource(key, np.full(shape, value), spec=SPEC)


def test_asks_each_input_for_its_own_part():
    request = gp.BatchRequest({RAW: gp.Roi((4, 2), (8, 4)), LABELS: gp.Roi((0, 0), (4, 2))})
    with gp.build((source(RAW, 1), source(LABELS, 2)) + gp.MergeProvider()) as pipeline:
        batch = pipeline.request_batch(request)
    np.testing.assert_array_equal(batch[RAW].data, np.full((2, 2), 1))
    np.testing.assert_array_equal(batch[LABELS].data, [[2]])


def test_refuses_the_same_key_twice():
    with (
        pytest.raises(
            gp.PipelineSetupError, match="RAW is provided by more than one input"
        ) as info,
        gp.build((source(RAW, 1), source(RAW, 2)) + gp.MergeProvider()),
    ):
        pass
    assert isinstance(info.value, ValueError)


def test_asks_nothing_of_an_input_of_which_only_the_region_matters():
    class Never(gp.BatchFilter):
        def prepare(self, request):
            raise RuntimeError("asked")

        def process(self, batch, request):
            raise RuntimeError("asked")

    request = gp.BatchRequest()
    request.add(RAW, (8, 4))
    request.add(LABELS, (8, 4), placeholder=True)
    with gp.build((source(RAW, 1), source(LABELS, 2) + Never()) + gp.MergeProvider()) as pipeline:
        batch = pipeline.request_batch(request)
    assert RAW in batch
    assert LABELS not in batch
    assert request[LABELS].placeholder  # the user's request is as it was
