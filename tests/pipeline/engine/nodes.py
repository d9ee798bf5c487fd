"""Small nodes for tests of the engine. They count as nodes from outside unless made `inside`."""

import numpy as np

import voxflow as gp
from tests.helpers import ramp

RAW, LABELS, MADE = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS"), gp.ArrayKey("MADE")
POINTS = gp.GraphKey("POINTS")


def inside(node):
    """The same class, as if it were voxflow's own."""
    node.__module__ = "voxflow.tests"
    return node


@inside
class Source(gp.BatchProvider):
    """Offers ramps; keeps what it was asked for."""

    def __init__(self, *keys, roi=None, voxel_size=(2, 2), **spec):
        self.keys = keys or (RAW,)
        roi = gp.Roi((0, 0), (40, 40)) if roi is None else roi
        self.array_spec = gp.ArraySpec(roi, voxel_size, **spec)
        self.asked = []

    def setup(self):
        for key in self.keys:
            self.provides(key, self.array_spec)

    def provide(self, request):
        self.asked.append(request.clone())
        batch = gp.Batch()
        for key, asked in request.array_specs.items():
            spec = self.spec[key].copy()
            spec.roi = asked.roi
            batch[key] = gp.Array(ramp(spec.roi, spec.voxel_size), spec)
        return batch


@inside
class Idle(gp.BatchFilter):
    def process(self, batch, request):
        pass


@inside
class Grow(gp.BatchFilter):
    """Needs context around what is asked for."""

    def __init__(self, key=RAW, by=4):
        self.key, self.by = key, by
        self.seen = []

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[self.key] = request[self.key].roi.grow(self.by, self.by)
        return needed

    def process(self, batch, request):
        self.seen.append(batch[self.key].spec.roi)


@inside
class Dice(gp.BatchFilter):
    """Adds a random number, drawn once and read in both halves."""

    def __init__(self, key=RAW):
        self.key = key

    def setup(self):
        self.enable_autoskip()
        self.updates(self.key, self.spec[self.key].copy())

    def draw(self, request, rng):
        return float(rng.random())

    def prepare(self, request):
        self.plan(request)
        return request

    def process(self, batch, request):
        array = batch[self.key]
        batch[self.key] = gp.Array(array.data + self.plan(request), array.spec)


@inside
class Derive(gp.BatchFilter):
    """Makes a new array from another one, with context."""

    def __init__(self, key=RAW, made=MADE):
        self.key, self.made = key, made

    def setup(self):
        self.enable_autoskip()
        spec = self.spec[self.key].copy()
        spec.roi = spec.roi.grow(-2, -2)
        self.provides(self.made, spec)

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[self.key] = request[self.made].roi.grow(2, 2)
        return needed

    def process(self, batch, request):
        made = gp.Batch()
        part = batch[self.key].crop(request[self.made].roi)
        made[self.made] = gp.Array(-part.data, part.spec)
        return made


def asking(*keys, roi=((10, 10), (8, 8)), seed=None):
    return gp.BatchRequest({key: gp.Roi(*roi) for key in keys or (RAW,)}, random_seed=seed)


def chain(*nodes):
    pipeline = nodes[0]
    for node in nodes[1:]:
        pipeline = pipeline + node
    return pipeline


def hash_of(batch):
    return {str(key): np.asarray(array.data).tobytes() for key, array in batch.arrays.items()}
