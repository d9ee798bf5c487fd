"""What was said to be over first is over before a node from outside works, and not before ours."""

import threading

import numpy as np
import pytest

import voxflow as gp
from voxflow.pipeline.engine.outside import FinishedFirst, finish_before

RAW = gp.ArrayKey("RAW")
SPEC = gp.ArraySpec(gp.Roi((0,), (4,)), (1,))


class Source(gp.BatchProvider):
    def setup(self):
        self.provides(RAW, SPEC)

    def provide(self, request):
        events.append("source")
        batch = gp.Batch()
        batch[RAW] = gp.Array(np.zeros(4), SPEC)
        return batch


class Filter(gp.BatchFilter):
    def process(self, batch, request):
        events.append("filter")


class Whole(gp.BatchFilter):
    """Does all itself."""

    def provide(self, request):
        events.append("whole")
        return self.get_upstream_provider().request_batch(request)


class Own(Filter):
    __module__ = "voxflow.own"


events = []


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (Filter, ["over", "source", "over", "filter"]),
        (Whole, ["over", "whole", "over", "source"]),
        (Own, ["over", "source", "filter"]),
    ],
)
def test_it_is_over_before_a_node_from_outside_works(node, wanted):
    events.clear()
    with gp.build(Source() + node()) as pipeline, FinishedFirst(lambda: events.append("over")):
        pipeline.request_batch(gp.BatchRequest({RAW: SPEC.roi}))
    assert events == wanted


def test_it_is_so_in_this_thread_and_until_the_end():
    called = []
    with FinishedFirst(lambda: called.append("outer")):
        with FinishedFirst(None):
            finish_before(True)
        thread = threading.Thread(target=finish_before, args=(True,))
        thread.start()
        thread.join()
        finish_before(False)
        assert called == []
        finish_before(True)
    finish_before(True)
    assert called == ["outer"]
