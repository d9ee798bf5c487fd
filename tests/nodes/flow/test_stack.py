import numpy as np
import pytest

import voxflow as gp
from tests.helpers import OneBuffer, asking, served

RAW = gp.ArrayKey("RAW")


class Dice(gp.BatchFilter):
    def draw(self, request, rng):
        return rng.random()

    def process(self, batch, request):
        batch[RAW].data = batch[RAW].data + self.plan(request)


def pipeline(n):
    image = gp.Array(np.zeros((2, 4, 4)), gp.ArraySpec(gp.Roi((0, 0), (8, 8)), (2, 2)))
    return gp.ArraySource(RAW, image) + Dice() + gp.Stack(n)


def test_stacks_batches_with_dice_of_their_own():
    request = gp.BatchRequest({RAW: gp.Roi((2, 2), (4, 4))})
    with gp.build(pipeline(3), seed=1) as built:
        first, second = (built.request_batch(request)[RAW].data for _ in range(2))
    assert first.shape == (3, 2, 2, 2)
    assert len(np.unique(np.stack([first, second]))) == 6
    with gp.build(pipeline(2), seed=1) as built:
        fewer = built.request_batch(request)[RAW].data
    np.testing.assert_array_equal(fewer, first[:2])  # more repetitions change none before


def test_stacks_nonspatial_arrays():
    class Count(gp.BatchProvider):
        def setup(self):
            self.provides(RAW, gp.ArraySpec(nonspatial=True))

        def provide(self, request):
            batch = gp.Batch()
            batch[RAW] = gp.Array(np.array(request.seed % 100), gp.ArraySpec(nonspatial=True))
            return batch

    request = gp.BatchRequest({RAW: gp.ArraySpec(nonspatial=True)})
    with gp.build(Count() + gp.Stack(4)) as built:
        assert built.request_batch(request)[RAW].data.shape == (4,)


def test_refuses_less_than_one():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        gp.Stack(0)


def test_batches_of_one_buffer_are_made_before_the_next_one_comes():
    nodes = OneBuffer(RAW) + gp.Normalize(RAW, 1 / 4) + gp.Stack(3)
    assert served(nodes, asking(RAW=((0,), (4,))))[RAW].data[:, 0].tolist() == [0.25, 0.5, 0.75]
