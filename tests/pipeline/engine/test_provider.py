"""What a node author sees of a provider."""

import copy
import pickle

import numpy as np
import pytest

import voxflow as gp
from tests.pipeline.engine.nodes import LABELS, MADE, RAW, Dice, Idle, Source, asking, chain, inside
from voxflow.pipeline.data import Timing
from voxflow.pipeline.engine import BatchMismatch


class WithoutSuper(gp.BatchProvider):
    def __init__(self, key):
        self.key = key  # no super().__init__()

    def setup(self):
        self.provides(self.key, gp.ArraySpec(nonspatial=True))

    def provide(self, request):
        batch = gp.Batch()
        batch[self.key] = gp.Array(np.arange(3), gp.ArraySpec(nonspatial=True))
        return batch


def test_no_constructor_is_needed():
    request = gp.BatchRequest({RAW: gp.ArraySpec(nonspatial=True)})
    with gp.build(WithoutSuper(RAW)) as source:
        assert source.request_batch(request)[RAW].data.tolist() == [0, 1, 2]


def test_defaults():
    node = gp.BatchProvider()
    assert node.name() == node.label == node._who() == "BatchProvider"
    assert node.remove_placeholders
    assert node.upstream_providers == node.get_upstream_providers() == []
    assert node.teardown() is None
    with pytest.raises(NotImplementedError, match=r"does not implement setup\(\)"):
        node.setup()
    with pytest.raises(NotImplementedError, match=r"does not implement provide\(\)"):
        node.provide(gp.BatchRequest())
    with pytest.raises(NotImplementedError, match=r"uses plan\(\) and does not implement draw\(\)"):
        node.plan(gp.BatchRequest())


def test_provides():
    class Twice(Source):
        def setup(self):
            spec = gp.ArraySpec(nonspatial=True)
            self.provides(RAW, spec)
            spec.dtype = "uint8"
            assert self.spec[RAW].dtype is None
            assert self.provided_items == [RAW]
            with pytest.raises(ValueError, match="cannot provide RAW: it is provided by it alr"):
                self.provides(RAW, spec)

    with gp.build(Twice()):
        pass


def test_the_spec_is_live_and_gone_after():
    class Moves(Source):
        def setup(self):
            super().setup()
            self.spec[RAW].roi = gp.Roi((0, 0), (10, 10))

    node = Moves()
    with gp.build(node):
        assert node.spec[RAW].roi == gp.Roi((0, 0), (10, 10))
        assert "ROI: [0:10, 0:10]" in repr(node)
    assert len(node.spec) == 0
    assert node.provided_items == []


def test_looking_at_a_spec_does_not_use_the_node_up():
    node = Source()
    assert len(node.spec) == 0
    with gp.build(node):
        assert RAW in node.spec


def test_remove_provided():
    node = Source(RAW)
    with gp.build(node):
        request = asking(RAW, LABELS)
        node.remove_provided(request)
        assert request.keys() == [LABELS]


def test_nodes_may_have_another_use_for_our_names():
    """Nodes written elsewhere may well have a `label` or a `_run`."""

    class Mine(gp.BatchFilter):
        def __init__(self):
            self.label = MADE
            self._label = "x"
            self.roi = self.key = self.seed = None

        def setup(self):
            self.provides(self.label, self.spec[RAW].copy())

        def _run(self, data):
            return data + 1

        def _serve(self):
            raise RuntimeError

        def prepare(self, request):
            needed = gp.BatchRequest()
            needed[RAW] = request[self.label].copy()
            return needed

        def process(self, batch, request):
            made = gp.Batch()
            made[self.label] = gp.Array(self._run(batch[RAW].data), batch[RAW].spec)
            return made

    with gp.build(Source() + Mine()) as pipeline:
        batch = pipeline.request_batch(asking(MADE))
        assert pipeline.output.label is MADE
        assert pipeline.output._who() == "Mine"
        assert batch[MADE].data.min() == 12
        with pytest.raises(gp.PipelineRequestError, match="Mine, OTHER"):
            pipeline.request_batch(asking(gp.ArrayKey("OTHER")))


def test_labels_tell_nodes_of_a_class_apart():
    nodes = [Idle(), Idle(), Idle().named("mine"), Idle()]
    with gp.build(chain(Source(), *nodes)):
        assert [node.label for node in nodes] == ["Idle", "Idle-2", "mine", "Idle-3"]
        assert [node._who() for node in nodes] == ["Idle", "Idle-2", "mine", "Idle-3"]


def test_titles_keep_what_a_name_says():
    class FileSource(Source):
        def name(self):
            return "FileSource[a.hdf]"

    assert FileSource()._who() == "FileSource[a.hdf]"
    assert FileSource().named("FileSource-2")._who() == "FileSource-2[a.hdf]"


# -- a request ------------------------------------------------------------------------------------


def test_the_request_of_the_user_is_not_changed():
    class Rude(Idle):
        def prepare(self, request):
            request[RAW].roi = gp.Roi((0, 0), (40, 40))
            request[LABELS] = gp.ArraySpec()
            del request[LABELS]

        def process(self, batch, request):
            request[RAW].dtype = "uint8"

    request = asking(RAW, seed=5)
    request[LABELS] = gp.ArraySpec(gp.Roi((0, 0), (2, 2)), placeholder=True)
    before = request.clone()
    with gp.build(chain(Source(RAW, LABELS), Rude(), Idle())) as pipeline:
        first, second = pipeline.request_batch(request), pipeline.request_batch(request)
    assert request == before
    assert request.random_seed == 5
    assert [k for k, _ in first.items()] == [k for k, _ in second.items()] == [RAW]


def test_placeholders_are_for_those_who_ask_for_them():
    class Sees(Source):
        def setup(self):
            super().setup()
            self.enable_placeholders()

    request = asking(RAW)
    request[LABELS] = gp.ArraySpec(gp.Roi((0, 0), (2, 2)), placeholder=True)
    for node, seen in ((Source(RAW, LABELS), [RAW]), (Sees(RAW, LABELS), [RAW, LABELS])):
        with gp.build(node):
            node.request_batch(request)
            assert node.asked[0].keys() == seen


def test_what_was_not_asked_for_is_dropped():
    class Generous(Source):
        def provide(self, request):
            batch = super().provide(request)
            batch[MADE] = batch[RAW]
            batch[gp.GraphKey("G")] = gp.Graph([], [], gp.GraphSpec())
            return batch

    with gp.build(Generous()) as node:
        assert [key for key, _ in node.request_batch(asking()).items()] == [RAW]


@pytest.mark.parametrize("change", ["roi", "voxel_size", "data", "key"])
def test_what_was_not_delivered_as_asked_is_said_at_the_node(change):
    class Wrong(Source):
        def provide(self, request):
            batch = super().provide(request)
            if change == "roi":
                batch[RAW].spec.roi = gp.Roi((0, 0), (8, 8))
            elif change == "voxel_size":
                batch[RAW].spec.voxel_size = (4, 4)
            elif change == "data":
                batch[RAW].data = batch[RAW].data[..., :2]
            else:
                del batch[RAW]
            return batch

    with (
        gp.build(Wrong() + Idle()) as pipeline,
        pytest.raises(BatchMismatch, match="^Wrong, RAW: ") as caught,
    ):
        pipeline.request_batch(asking())
    assert caught.value.__notes__[0].startswith("in Wrong -> Idle, asked for")


@pytest.mark.parametrize("answer", [None, {}, np.zeros(3)])
def test_providers_return_batches(answer):
    class Odd(Source):
        def provide(self, request):
            return answer

    with (
        gp.build(Odd()) as node,
        pytest.raises(TypeError, match="Odd: provide.. has to return a B"),
    ):
        node.request_batch(asking())


def test_whole_nodes_are_timed_by_their_class():
    class Named(Source):
        def name(self):
            return "a.hdf"

        def provide(self, request):
            timing = Timing(self, "reading")
            timing.start()
            batch = super().provide(request)
            timing.stop()
            batch.profiling_stats.add(timing)
            return batch

    with gp.build(Named()) as node:
        stats = node.request_batch(asking()).profiling_stats
    assert stats.get_timing_summary("Named").counts() == 1
    assert stats.get_timing_summary("Named", "reading").counts() == 1


# -- plans ----------------------------------------------------------------------------------------


def test_a_plan_is_drawn_once_per_request():
    @inside
    class Counts(Dice):
        drawn = 0

        def draw(self, request, rng):
            type(self).drawn += 1
            return super().draw(request, rng)

    with gp.build(Source() + Counts(), seed=1) as pipeline:
        pipeline.request_batch(asking())
        pipeline.request_batch(asking())
    assert Counts.drawn == 3  # two batches and the check before the first


def test_plans_of_other_requests_are_others():
    node = Dice()
    request = asking(seed=1)
    request._plans = {}
    first = node.plan(request)
    assert node.plan(request) == node.plan(request.clone()) == first
    assert node.plan(request.reseed(1)) != first
    assert node.named("other").plan(asking(seed=1)) != first


def test_nodes_travel():
    node = gp.IntensityScaleShift(RAW, 2, 0).named("mine")
    for made in (copy.copy(node), copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert (made.label, made.array, made.provided_items) == ("mine", RAW, [])
