"""Of voxels that a node from outside hands out it is known whether it kept them."""

import numpy as np
import pytest

import voxflow as gp
from tests.helpers import source
from voxflow.pipeline.engine.provider import request_deferred

RAW, OUT = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
ROI = gp.Roi((2, 2), (4, 4))


class Doubles(gp.BatchFilter):
    """Makes new voxels, and may keep them in many ways."""

    def __init__(self, keep):
        self.keep = keep
        self.kept = None

    def setup(self):
        self.provides(OUT, self.spec[RAW].copy())

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[RAW] = gp.ArraySpec(request[OUT].roi)
        return needed

    def process(self, batch, request):
        spec = self.spec[OUT].copy()
        spec.roi = request[OUT].roi
        array = gp.Array(batch[RAW].crop(spec.roi).data * 2, spec)
        self.kept = self.keep(batch, array, request)
        if batch is not self.kept:
            batch[OUT] = array


class Returns(Doubles):
    """The same, in a batch of its own."""

    def process(self, batch, request):
        made = gp.Batch()
        super().process(batch, request)
        made[OUT] = batch[OUT]
        self.kept = self.keep(made, batch[OUT], request)
        return made


class InPlace(Doubles):
    """Puts its voxels into the batch that it finds, having asked for nothing."""

    def setup(self):
        self.updates(RAW, self.spec[RAW].copy())

    def prepare(self, request):
        return None

    def process(self, batch, request):
        array = gp.Array(batch[RAW].data * 2, batch[RAW].spec)
        batch[RAW] = array
        self.kept = self.keep(batch, array, request)


class Draws(gp.BatchProvider):
    """A source of new voxels."""

    def __init__(self, keep):
        self.keep = keep

    def setup(self):
        self.provides(OUT, gp.ArraySpec(gp.Roi((0, 0), (9, 9)), (1, 1)))

    def provide(self, request):
        batch, spec = gp.Batch(), self.spec[OUT].copy()
        spec.roi = request[OUT].roi
        batch[OUT] = gp.Array(np.ones(spec.roi.shape), spec)
        self.kept = self.keep(batch, batch[OUT], request)
        return batch


def batch_itself(batch, array, request):
    batch[OUT if OUT in request else RAW] = array
    return batch


WAYS = {
    "batch": batch_itself,
    "arrays": lambda batch, array, request: batch_itself(batch, array, request).arrays,
    "array": lambda batch, array, request: array,
    "voxels": lambda batch, array, request: array.data,
    "view": lambda batch, array, request: array.data[1:],
    "memoryview": lambda batch, array, request: memoryview(array.data),
}


def nodes(kind, keep):
    if kind is Draws:
        return OUT, Draws(keep) + gp.Crop(OUT, gp.Roi((1, 1), (8, 8)))
    raw = source(RAW, np.arange(100).reshape(10, 10), (1, 1))
    return (RAW if kind is InPlace else OUT), raw + kind(keep)


def requested(kind, keep):
    key, pipeline = nodes(kind, keep)
    with gp.build(pipeline) as built:
        batch = request_deferred(built.output, gp.BatchRequest({key: ROI}))
        return batch[key].settle(), batch[key].data


@pytest.mark.parametrize("kind", [Doubles, Returns, InPlace, Draws])
def test_what_it_did_not_keep_stays_what_it_is(kind):
    settled, _ = requested(kind, lambda batch, array, request: None)
    assert settled


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [Doubles, Returns, InPlace, Draws])
def test_not_what_it_kept(kind, way):
    settled, _ = requested(kind, WAYS[way])
    assert not settled


def test_not_what_a_node_further_on_keeps():
    class Keeps(gp.BatchFilter):
        def process(self, batch, request):
            self.voxels = batch[OUT].data

    key, pipeline = nodes(Doubles, lambda *_: None)
    with gp.build(pipeline + Keeps()) as built:
        assert not request_deferred(built.output, gp.BatchRequest({key: ROI}))[key].settle()


def test_not_what_a_node_further_upstream_keeps():
    class Looks(gp.BatchFilter):
        def process(self, batch, request):
            batch[OUT].data  # noqa: B018 - makes them

    key, pipeline = nodes(Doubles, WAYS["voxels"])
    with gp.build(pipeline + Looks()) as built:
        assert not request_deferred(built.output, gp.BatchRequest({key: ROI}))[key].settle()


def test_an_array_that_a_node_keeps_is_not_changed_by_who_gets_it():
    """In place, as gunpowder's nodes do it: the voxels and the spec."""

    class Again(gp.BatchProvider):
        def setup(self):
            spec = gp.ArraySpec(gp.Roi((0, 0), (4, 6)), (1, 1))
            self.array = gp.Array(np.arange(24).reshape(4, 6), spec)
            self.provides(RAW, spec)

        def provide(self, request):
            batch = gp.Batch()
            batch[RAW] = self.array.crop(request[RAW].roi, copy=False)
            return batch

    class Grows(gp.BatchFilter):
        def setup(self):
            spec = self.spec[RAW].copy()
            spec.roi = spec.roi.grow(1, 1)
            self.updates(RAW, spec)

        def prepare(self, request):
            request[RAW].roi = request[RAW].roi.grow(-1, -1)

        def process(self, batch, request):
            array = batch[RAW]
            array.data = np.pad(array.data, 1)
            array.spec.roi = request[RAW].roi

    wanted = np.pad(np.arange(24).reshape(4, 6), 1)
    with gp.build(Again() + Grows()) as pipeline:
        for _ in range(3):
            batch = pipeline.request_batch(gp.BatchRequest({RAW: gp.Roi((-1, -1), (6, 8))}))
            np.testing.assert_array_equal(batch[RAW].data, wanted)
