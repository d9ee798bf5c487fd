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


@pytest.mark.parametrize("factor", [1, 0.25])
def test_batches_of_one_buffer_are_put_in_place_before_the_next_one_comes(factor):
    nodes = OneBuffer(RAW) + (gp.Normalize(RAW, factor) if factor < 1 else gp.Pad(RAW, (0,)))
    found = served(nodes + gp.Stack(3), asking(RAW=((0,), (4,))))[RAW].data
    assert found[:, 0].tolist() == [factor, 2 * factor, 3 * factor]


def test_batches_of_nodes_from_outside_that_do_not_fit_are_told():
    class Grown(OneBuffer):
        made = 0

        def provide(self, request):
            self.made += 1
            batch = gp.Batch()
            batch[RAW] = gp.Array(np.zeros((self.made, 4), np.uint8), self.spec_of)
            return batch

    with pytest.raises(gp.PipelineRequestError, match="cannot be stacked, since they differ"):
        served(Grown(RAW) + gp.Stack(2), asking(RAW=((0,), (4,))))
