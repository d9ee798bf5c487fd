"""A chain of nodes that do nothing, in gunpowder and in voxflow."""

import contextlib
import statistics
import time

import numpy as np
from serve import serve

# As if a node were one of voxflow's own, which leave the global random state alone.
OURS = "voxflow.benchmarks"


class Chain:
    """So many nodes below a source of small arrays; some requests at once."""

    def __init__(self, gp, kind, nodes, arrays, voxel_size, workers):
        keys = [gp.ArrayKey(f"ARRAY_{i}") for i in range(arrays)]
        size = gp.Coordinate(voxel_size)
        self.pipeline = source(gp, keys, size, OURS if kind == "rolls" else __name__)
        for _ in range(nodes):
            self.pipeline = self.pipeline + KINDS[kind](gp)
        if workers is not None:
            self.pipeline = self.pipeline + gp.PreCache(20, workers)
        self.request = gp.BatchRequest()
        for key in keys:
            self.request[key] = gp.ArraySpec(gp.Roi((0, 0, 0), size * 10))

    def run(self, count=1):
        for _ in range(count):
            self.pipeline.request_batch(self.request)

    def asked(self, count=1):
        """The same; what the requests took."""
        return clocked(self.pipeline, lambda: self.run(count))

    def profiled(self, count=1):
        """The same, and told where the time went."""
        return clocked(self.pipeline, lambda: self.pipeline.profile(self.request, count - 1))

    def accounted(self, count=1, times=9):
        """Of how much of the time it is known where it went; the median of some profiles."""
        profiles = [self.pipeline.profile(self.request, count - 1) for _ in range(times)]
        return statistics.median(profile.accounted for profile in profiles)


def clocked(pipeline, work):
    """What the requests of a pipeline take while something is done."""
    taken = {"wall": 0.0, "cpu": 0.0}

    def timed(request):
        wall, cpu = time.perf_counter(), time.process_time()
        batch = type(pipeline).request_batch(pipeline, request)
        taken["wall"] += time.perf_counter() - wall
        taken["cpu"] += time.process_time() - cpu
        return batch

    pipeline.request_batch = timed
    try:
        work()
    finally:
        del pipeline.request_batch
    return taken


def source(gp, keys, size, module):
    """Always the same voxels."""
    data = np.zeros((10, 10, 10), np.uint8)

    class Source(gp.BatchProvider):
        __module__ = module

        def setup(self):
            roi = gp.Roi((0, 0, 0), size * 100)
            for key in keys:
                self.provides(key, gp.ArraySpec(roi, size, dtype=np.uint8))

        def provide(self, request):
            batch = gp.Batch()
            for key, asked in request.array_specs.items():
                spec = self.spec[key].copy()
                spec.roi = asked.roi
                batch[key] = gp.Array(data, spec)
            return batch

    return Source()


def idle(gp):
    """A node of a user, as in both libraries."""

    class Idle(gp.BatchFilter):
        def process(self, batch, request):
            pass

    return Idle()


def rolls(gp):
    """One of voxflow's own kind, which draws from its generator."""

    class Rolls(gp.BatchFilter):
        __module__ = OURS

        def draw(self, request, rng):
            return rng.random()

        def process(self, batch, request):
            self.plan(request)

    return Rolls()


KINDS = {"idle": idle, "rolls": rolls}


@contextlib.contextmanager
def open_work(gp, kind="idle", nodes=50, arrays=1, voxel_size=(40, 4, 4), workers=None):
    chain = Chain(gp, kind, nodes, arrays, voxel_size, workers)
    with gp.build(chain.pipeline):
        yield chain


if __name__ == "__main__":
    serve(open_work)
