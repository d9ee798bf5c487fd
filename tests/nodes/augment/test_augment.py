import numpy as np
import pytest

import voxflow as gp
from tests.helpers import asking, source
from voxflow.nodes.augment.augment import Augment, probability

RAW = gp.ArrayKey("RAW")


class Mark(Augment):
    def __init__(self, p):
        self.p = p

    def process(self, batch, request):
        batch[RAW].data = batch[RAW].data + 1


def marks(p, n=400):
    pipeline = source(RAW, np.zeros(4), (1,)) + Mark(p)
    with gp.build(pipeline, seed=5):
        return [pipeline.request_batch(asking(RAW=((0,), (1,))))[RAW].data[0] for _ in range(n)]


def test_is_applied_with_its_probability():
    assert sum(marks(0.0, 20)) == 0
    assert sum(marks(1.0, 20)) == 20
    assert 80 < sum(marks(0.25)) < 120


def test_the_same_seed_gives_the_same_choice():
    assert marks(0.5, 20) == marks(0.5, 20)


@pytest.mark.parametrize("p", [0.001, 1])
def test_what_it_may_need_is_checked_before_the_run(p):
    class Wide(Mark):
        def prepare(self, request):
            request[RAW].roi = request[RAW].roi.grow(1, 1)

    pipeline = source(RAW, np.zeros(4), (1,)) + Wide(p)
    with gp.build(pipeline, seed=1), pytest.raises(gp.PipelineRequestError, match="RAW"):
        gp.Pipeline.check(pipeline, asking(RAW=((0,), (4,))))


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probabilities_lie_between_0_and_1(p):
    with pytest.raises(ValueError, match=r"p is a probability.*\[0, 1\], got"):
        probability("p", p)
