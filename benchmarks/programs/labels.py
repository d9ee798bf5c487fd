"""Nodes that make targets from labels, gunpowder's and voxflow's, each alone and in a row."""

import contextlib
import time

import h5py
import numpy as np
from serve import serve

DIRECT = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]
NINE = [*DIRECT, (-2, 0, 0), (0, -3, 0), (0, 0, -3), (-3, 0, 0), (0, -9, 0), (0, 0, -9)]
TWELVE = [*NINE, (-4, 0, 0), (0, -27, 0), (0, 0, -27)]
VOXEL = 4
NEIGHBORS = {"3": DIRECT, "9": NINE, "12": TWELVE}


class Labels:
    """Some labels, and the nodes; only `process` is timed."""

    def __init__(self, gp, file):
        self.gp, self.file, self.pipelines = gp, file, {}

    def work(self, name, shape):
        """A node or several, set up, and a batch of what they get."""
        if (name, *shape) not in self.pipelines:
            self.pipelines[name, *shape] = self.make(name, shape)
        return self.pipelines[name, *shape]

    def make(self, name, shape):
        gp = self.gp
        keys = [gp.ArrayKey(k) for k in ("LABELS", "AFFINITIES", "SCALE")]
        labels, affinities, scale = keys
        kind, _, count = name.partition(" ")
        grow = gp.GrowBoundary(labels, steps=3, only_xy=kind != "grow3d")
        add = gp.AddAffinities(NEIGHBORS[count or "3"], labels, affinities)
        balance = gp.BalanceLabels(affinities, scale)
        nodes = {
            "grow": [grow],
            "grow3d": [grow],
            "affinities": [add],
            "balance": [add, balance],
            "row": [grow, add, balance],
        }[kind]
        with h5py.File(self.file, "r") as file:
            data = file["volumes/labels/neuron_ids"][tuple(slice(10, 10 + n) for n in shape)]
        spec = gp.ArraySpec(
            gp.Roi((0, 0, 0), gp.Coordinate(shape) * VOXEL),
            gp.Coordinate((VOXEL, VOXEL, VOXEL)),
            interpolatable=False,
            dtype=data.dtype,
        )
        pipeline = source(gp, labels, gp.Array(data, spec))
        for node in nodes:
            pipeline = pipeline + node
        request = gp.BatchRequest()
        if kind in ("grow", "grow3d", "affinities"):
            request[labels] = gp.ArraySpec(spec.roi)
        inner = inside(gp, spec.roi, NEIGHBORS[count or "3"])
        if kind in ("affinities", "balance", "row"):
            request[affinities] = gp.ArraySpec(inner)
        if kind in ("balance", "row"):
            request[scale] = gp.ArraySpec(inner)
        return pipeline, nodes, request, keys

    def run(self, name, shape, count):
        """Wall and processor seconds of what is named, without what makes its input."""
        pipeline, nodes, request, _ = self.work(name, shape)
        last = nodes if name.startswith("row") else nodes[-1:]
        clock = Clock(last)
        with self.gp.build(pipeline), clock:
            for _ in range(count):
                pipeline.request_batch(request)
        return {"wall": clock.wall, "cpu": clock.cpu}

    def outcome(self, name, shape, to):
        """Write down what comes out."""
        pipeline, _, request, keys = self.work(name, shape)
        with self.gp.build(pipeline):
            batch = pipeline.request_batch(request)
        np.savez(to, **{str(key): batch[key].data for key in keys if key in batch.arrays})


class Clock:
    """Adds up the seconds that nodes spend in `process`."""

    def __init__(self, nodes):
        self.nodes, self.wall, self.cpu = nodes, 0.0, 0.0

    def __enter__(self):
        for node in self.nodes:
            node.process = self.timed(node.process)

    def __exit__(self, *_):
        for node in self.nodes:
            del node.process

    def timed(self, process):
        def run(batch, request):
            wall, cpu = time.perf_counter(), time.process_time()
            result = process(batch, request)
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu
            return result

        return run


def inside(gp, roi, neighborhood):
    """Where affinities can be known: within how far they look."""
    low = [max(0, *(-v[a] for v in neighborhood)) for a in range(3)]
    high = [max(0, *(v[a] for v in neighborhood)) for a in range(3)]
    return roi.grow(gp.Coordinate(low) * -VOXEL, gp.Coordinate(high) * -VOXEL)


def source(gp, key, array):
    """A copy of an array, at each request."""

    class Memory(gp.BatchProvider):
        def setup(self):
            self.provides(key, array.spec)

        def provide(self, request):
            batch = gp.Batch()
            batch[key] = gp.Array(array.data.copy(), array.spec.copy()).crop(request[key].roi)
            return batch

    return Memory()


@contextlib.contextmanager
def open_work(gp, file):
    yield Labels(gp, file)


if __name__ == "__main__":
    serve(open_work)
