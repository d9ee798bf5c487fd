"""Sources that wait for their data hear of requests before they come."""

import threading
import time

import numpy as np
import pytest

import voxflow as gp
from tests.pipeline.engine.nodes import RAW, inside
from voxflow.nodes.flow.serving import Serving


@inside
class Slow(gp.BatchProvider):
    """Writes down of what it hears and what it is asked for; for regions that is the same."""

    prefetches = True

    def __init__(self, log, seconds=0.01):
        self.log, self.seconds = log, seconds

    def setup(self):
        self.provides(RAW, gp.ArraySpec(gp.Roi((0, 0), (900, 900)), (1, 1), interpolatable=True))

    def note(self, what, request):
        with open(self.log, "a") as log:
            log.write(f"{what} {request[RAW].roi}\n")

    def prefetch(self, request):
        self.note("hears", request)

    def provide(self, request):
        self.note("serves", request)
        time.sleep(self.seconds)
        roi = request[RAW].roi
        batch = gp.Batch()
        batch[RAW] = gp.Array(np.zeros(roi.shape, np.float32), gp.ArraySpec(roi, (1, 1)))
        return batch

    def noted(self):
        lines = [line.split(" ", 1) for line in self.log.read_text().splitlines()]
        return {kind: [roi for what, roi in lines if what == kind] for kind in ("hears", "serves")}


def request(extent=20):
    asked = gp.BatchRequest()
    asked[RAW] = gp.ArraySpec(gp.Roi((0, 0), (extent, extent)))
    return asked


@pytest.mark.parametrize("method", ["forkserver", "thread"])
def test_workers_tell_what_comes_next(tmp_path, method):
    source = Slow(tmp_path / "log")
    random = gp.RandomLocation() + gp.ElasticAugment((5, 5), (1, 1), (0, 3), spatial_dims=2)
    pipeline = source + random + gp.PreCache(8, 2, method=method)
    with gp.build(pipeline, seed=3):
        for _ in range(20):
            pipeline.request_batch(request())
    noted = source.noted()
    assert len(noted["hears"]) > 5
    # The last ones that were heard of may not have been begun.
    assert len(set(noted["hears"]) - set(noted["serves"])) <= 4
    assert len(set(noted["serves"])) > 10


def test_a_scan_tells_which_block_comes_next(tmp_path):
    source = Slow(tmp_path / "log", seconds=0.05)
    pipeline = source + gp.Scan(request(300))
    with gp.build(pipeline):
        pipeline.request_batch(gp.BatchRequest())
    noted = source.noted()
    assert noted["hears"] == noted["serves"][1:]
    assert len(noted["serves"]) == 9


def test_nobody_is_told_what_is_of_no_use(tmp_path):
    source = Slow(tmp_path / "log")
    source.prefetches = False
    with gp.build(source + gp.Scan(request(300))) as pipeline:
        pipeline.request_batch(gp.BatchRequest())
    assert source.noted()["hears"] == []


def test_mistakes_are_left_to_whoever_serves(tmp_path):
    source = Slow(tmp_path / "log")
    with gp.build(source) as pipeline:
        serving = Serving(pipeline)
        before = threading.active_count()
        serving.announce(request(2000))
        ends = time.monotonic() + 60
        while threading.active_count() > before and time.monotonic() < ends:
            time.sleep(0.01)
        assert not source.log.exists()
        with pytest.raises(gp.BatchRequestError, match="2000"):
            pipeline.request_batch(request(2000))
