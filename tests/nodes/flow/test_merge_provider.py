import numpy as np
import pytest

import voxflow as gp
from tests.helpers import OneBuffer, asking, served
from tests.helpers import source as line

RAW, LABELS, POINTS = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.GraphKey("POINTS")
OTHER = gp.ArrayKey("OTHER")
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


def test_branches_that_share_a_buffer_are_made_one_by_one():
    buffer = np.zeros(4, np.uint8)

    class Shares(OneBuffer):
        def setup(self):
            super().setup()
            self.batch[self.key].data = buffer

        def provide(self, request):
            buffer[:] = self.step
            return self.batch

    first, second = gp.ArrayKey("FIRST"), gp.ArrayKey("SECOND")
    branches = tuple(
        Shares(key, n) + gp.Normalize(key, 0.25) for n, key in ((1, first), (2, second))
    )
    batch = served(branches + gp.MergeProvider(), asking(FIRST=((0,), (4,)), SECOND=((0,), (4,))))
    assert [batch[key].data[0] for key in (first, second)] == [0.25, 0.5]


def test_a_node_that_asks_by_hand_writes_to_nothing_else():
    class Shares(gp.BatchFilter):
        def setup(self):
            self.provides(OTHER, self.spec[RAW].copy())

        def process(self, batch, request):
            batch[OTHER] = gp.Array(batch[RAW].data, batch[RAW].spec)

    class Writes(gp.BatchFilter):
        def provide(self, request):
            batch = self.get_upstream_provider().request_batch(request)
            batch[OTHER].data[:] = 100
            return batch

    nodes = line(RAW, np.arange(4, dtype=np.float32), (1,)) + Shares()
    nodes += gp.Normalize(RAW, 1) + Writes()
    batch = served(nodes, asking(RAW=((0,), (4,)), OTHER=((0,), (4,))))
    assert batch[RAW].data.tolist() == [0, 1, 2, 3]
