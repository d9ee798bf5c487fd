import numpy as np

import voxflow as gp
from tests.helpers import Nothing, asking, source
from voxflow.nodes.sinks.sink import Sink, writers_upstream

RAW = gp.ArrayKey("RAW")


def test_writers_are_found_through_branches(tmp_path):
    other = gp.ArrayKey("OTHER")
    branches = (
        source(RAW, np.ones(4), (1,)) + gp.Snapshot({RAW: "raw"}, tmp_path) + Nothing(),
        source(other, np.ones(4), (1,)) + gp.PrintProfilingStats(),
    )
    last = Nothing()
    with gp.build(branches + gp.MergeProvider() + last):
        assert [node.label for node in writers_upstream(last)] == ["Snapshot"]


def test_a_sink_of_ones_own_stays_in_this_process():
    seen = []

    class Look(Sink):
        def process(self, batch, request):
            seen.append(int(batch[RAW].data.sum()))

    pipeline = (
        source(RAW, np.arange(8), (1,))
        + Look()
        + gp.Scan(asking(RAW=((0,), (2,))), 2, progress_callback=gp.ScanCallback())
    )
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest())
    assert seen == [1, 5, 9, 13]
