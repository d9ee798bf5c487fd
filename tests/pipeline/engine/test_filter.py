"""What a node author sees of a filter: who gets asked for what, who sees what."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import ramp
from tests.pipeline.engine.nodes import (
    LABELS,
    MADE,
    RAW,
    Derive,
    Grow,
    Idle,
    Source,
    asking,
    chain,
)

ROI = gp.Roi((10, 10), (8, 8))


def serve(*nodes, request=None):
    pipeline = chain(*nodes)
    with gp.build(pipeline, seed=1):
        return pipeline.request_batch(asking() if request is None else request)


def assert_ramp(array, roi=ROI):
    assert array.spec.roi == roi
    np.testing.assert_array_equal(array.data, ramp(roi, (2, 2)))


def test_nothing_needed_sees_everything():
    class Sees(Idle):
        def process(self, batch, request):
            assert [key for key, _ in batch.items()] == [RAW, LABELS]

    batch = serve(Source(RAW, LABELS), Sees(), request=asking(RAW, LABELS))
    assert_ramp(batch[RAW])


def test_context_is_seen_by_the_node_that_needs_it_and_by_no_other():
    source, grow, outer = Source(RAW), Grow(by=4), Grow(by=2)
    batch = serve(source, grow, outer)
    assert source.asked[0][RAW].roi == ROI.grow(6, 6)
    assert grow.seen == [ROI.grow(6, 6)]
    assert outer.seen == [ROI.grow(2, 2)]
    assert_ramp(batch[RAW])


def test_what_is_needed_is_asked_for_besides_what_was_asked():
    source = Source(RAW, LABELS)

    class Needs(Idle):
        def prepare(self, request):
            needed = gp.BatchRequest()
            needed[RAW] = gp.ArraySpec(gp.Roi((20, 20), (4, 4)), dtype="float64")
            return needed

        def process(self, batch, request):
            assert_ramp(batch[RAW], gp.Roi((20, 20), (4, 4)))
            assert [key for key, _ in batch.items()] == [RAW]
            assert request.keys() == [RAW, LABELS]
            assert request[RAW].roi == ROI

    # What the node gives back of RAW replaces the rest, so it must not be less than was asked for.
    with pytest.raises(
        gp.BatchMismatch, match=r"\[20:24, 20:24\].*does not contain \[10:18, 10:18\]"
    ):
        serve(source, Needs(), request=asking(RAW, LABELS))
    assert source.asked[0][RAW] == gp.ArraySpec(gp.Roi((10, 10), (14, 14)), dtype="float64")
    assert source.asked[0][LABELS].roi == ROI


@pytest.mark.parametrize("returned", [True, False])
def test_regions_may_be_changed_in_place(returned):
    """The usual way to move what is asked for upstream."""

    class Move(gp.BatchFilter):
        def prepare(self, request):
            request[RAW].roi = request[RAW].roi.shift(gp.Coordinate(4, 0))
            return request if returned else None

        def process(self, batch, request):
            batch[RAW].spec.roi = batch[RAW].spec.roi.shift(gp.Coordinate(-4, 0))

    batch = serve(Source(), Move())
    assert batch[RAW].spec.roi == ROI
    np.testing.assert_array_equal(batch[RAW].data, ramp(ROI.shift(gp.Coordinate(4, 0)), (2, 2)))


def test_a_new_array():
    source = Source()
    batch = serve(source, Derive(), request=asking(RAW, MADE))
    assert source.asked[0].keys() == [RAW]
    assert source.asked[0][RAW].roi == ROI.grow(2, 2)
    assert_ramp(batch[RAW])
    np.testing.assert_array_equal(batch[MADE].data, -ramp(ROI, (2, 2)))


def test_only_what_was_asked_for_comes():
    batch = serve(Source(), Derive(), request=asking(MADE))
    assert [key for key, _ in batch.items()] == [MADE]


def test_autoskip():
    class Fails(Derive):
        def prepare(self, request):
            raise RuntimeError("not skipped")

    assert_ramp(serve(Source(), Fails())[RAW])
    request = asking(RAW)
    request[MADE] = gp.ArraySpec(ROI, placeholder=True)
    assert_ramp(serve(Source(), Fails(), request=request)[RAW])
    with pytest.raises(gp.PipelineRequestError, match="not skipped"):
        serve(Source(), Fails(), request=asking(MADE))


def test_skip_node():
    class Skips(Grow):
        def skip_node(self, request):
            return True

    source, node = Source(), Skips()
    assert_ramp(serve(source, node)[RAW])
    assert node.seen == []
    assert source.asked[0][RAW].roi == ROI


def test_updates():
    class Cast(Idle):
        def setup(self):
            self.enable_autoskip()
            assert self.autoskip_enabled
            spec = self.spec[RAW].copy()
            spec.dtype = "float32"
            self.updates(RAW, spec)
            assert self.updated_items == [RAW]

        def process(self, batch, request):
            spec = batch[RAW].spec.copy()
            spec.dtype = "float32"
            batch[RAW] = gp.Array(batch[RAW].data.astype("f4"), spec)

    source = Source(dtype="float64")
    request = gp.BatchRequest({RAW: gp.ArraySpec(ROI, dtype="float32")})
    batch = serve(source, Cast(), request=request)
    assert batch[RAW].data.dtype == np.float32
    # the dtype is asked of the node that makes it, not of the source
    assert source.asked[0][RAW].dtype is None


def test_updates_of_what_is_not_there():
    class Updates(Idle):
        def setup(self):
            self.updates(MADE, gp.ArraySpec())

    with pytest.raises(gp.BatchFilterError, match="MADE, which is not provided upstream. There is"):
        serve(Source(), Updates())


def test_provides_what_is_there_already():
    class Provides(Idle):
        def setup(self):
            self.provides(RAW, gp.ArraySpec())

    with pytest.raises(gp.PipelineSetupError, match="cannot provide RAW: it is provided upstream"):
        serve(Source(), Provides())


def test_placeholders_reach_prepare_and_not_process():
    class Sees(Idle):
        def prepare(self, request):
            assert LABELS in request
            return request

        def process(self, batch, request):
            assert LABELS not in request
            assert LABELS not in batch

    request = asking(RAW)
    request[LABELS] = gp.ArraySpec(gp.Roi((0, 0), (4, 4)), placeholder=True)
    assert_ramp(serve(Source(RAW, LABELS), Sees(), request=request)[RAW])


def test_returning_the_request_itself():
    """With what the node makes in it, and with placeholders, which upstream has to see."""

    class Returns(Derive):
        def prepare(self, request):
            request[RAW] = gp.ArraySpec(request[MADE].roi.grow(2, 2))
            return request

        def process(self, batch, request):
            assert [key for key, _ in batch.items()] == [RAW]
            return super().process(batch, request)

    class Sees(Idle):
        def prepare(self, request):
            assert request.keys() == [LABELS, RAW]
            assert request[LABELS].placeholder

    request = asking(MADE)
    request[LABELS] = gp.ArraySpec(gp.Roi((0, 0), (4, 4)), placeholder=True)
    batch = serve(Source(RAW, LABELS), Sees(), Returns(), request=request)
    np.testing.assert_array_equal(batch[MADE].data, -ramp(ROI, (2, 2)))


def test_plans_stay_with_their_node():
    with gp.build(Source() + Idle()) as pipeline:
        request = asking(seed=1)
        request._plans = {"draw": 1}
        ((_, upstream),) = pipeline.output.upstream_requests(request)
    assert not upstream._plans


@pytest.mark.parametrize(
    ("half", "text"),
    [
        ("prepare", "has to return a BatchRequest or None"),
        ("process", "has to return a Batch or N"),
    ],
)
@pytest.mark.parametrize("answer", [{}, gp.ProviderSpec(), "text"])
def test_wrong_answers(half, text, answer):
    node = type("Odd", (Idle,), {half: lambda self, *args: answer})()
    with pytest.raises(gp.BatchFilterError, match=rf"Error in Odd: {half}\(\) {text}"):
        serve(Source(), node)


def test_process_is_needed():
    with pytest.raises(gp.BatchFilterError, match=r"does not implement process\(\)"):
        serve(Source(), gp.BatchFilter())


def test_exactly_one_upstream():
    with pytest.raises(gp.BatchFilterError, match=r"there are 0: a pipeline begins with a source"):
        serve(Idle())
    with pytest.raises(gp.BatchFilterError, match=r"there are 2; put MergeProvider"):
        serve((Source(RAW), Source(LABELS)) + Idle())


def test_halves_are_timed():
    stats = serve(Source(), Idle()).profiling_stats
    names = {("Source", None), ("Idle", "prepare"), ("Idle", "process"), ("Engine", "between")}
    assert set(stats.get_timing_summaries()) == names


def test_what_passes_keeps_its_loss():
    class Trains(Idle):
        def process(self, batch, request):
            batch.loss, batch.iteration, batch.affinity_neighborhood = 0.5, 3, [[1]]

    batch = serve(Source(), Trains(), Grow(), Derive(), request=asking(RAW, MADE))
    assert (batch.loss, batch.iteration, batch.affinity_neighborhood) == (0.5, 3, [[1]])


def test_a_foreign_request_batch_is_honoured():
    class Wraps(Source):
        def request_batch(self, request):
            batch = super().request_batch(request)
            batch.iteration = 11
            return batch

    assert serve(Wraps(), Idle()).iteration == 11
