"""What the engine itself costs: a chain of nodes that do nothing, in microseconds per node.

Run it as ``python -m benchmarks.nodes``. Every node is served in full: its seeds, the checks of the
request and of the batch, planning, cropping, timing. The table shows the fastest of several rounds,
since anything slower is the machine's doing.
"""

import time

import numpy as np

import voxflow as gp

NODES = 50
ROUNDS = 40
VOXEL_SIZES = ((40, 4, 4), (9.8, 9.8, 9.8))


class Source(gp.BatchProvider):
    """Some arrays, always the same voxels."""

    def __init__(self, keys, voxel_size):
        self.keys = keys
        self.voxel_size = gp.Coordinate(voxel_size)
        self.data = np.zeros((10, 10, 10), np.uint8)

    def setup(self):
        roi = gp.Roi((0, 0, 0), self.voxel_size * 100)
        for key in self.keys:
            self.provides(key, gp.ArraySpec(roi, self.voxel_size, dtype="uint8"))

    def provide(self, request):
        batch = gp.Batch()
        for key, asked in request.array_specs.items():
            spec = self.spec[key].copy()
            spec.roi = asked.roi
            batch[key] = gp.Array(self.data, spec)
        return batch


class Idle(gp.BatchFilter):
    def process(self, batch, request):
        pass


class IdleWithNeeds(Idle):
    """Asks for what it was asked for, as nodes with a `prepare` do."""

    def prepare(self, request):
        return request


class IdleWithDice(Idle):
    """Rolls one die."""

    def draw(self, request, rng):
        return rng.random()

    def process(self, batch, request):
        self.plan(request)


# As if they were the package's own, which leave the global random state alone.
for node in (Source, Idle, IdleWithNeeds, IdleWithDice):
    node.__module__ = "voxflow.benchmarks"


def seconds(node, count, voxel_size):
    """The fastest batch."""
    keys = [gp.ArrayKey(f"ARRAY_{i}") for i in range(count)]
    pipeline = Source(keys, voxel_size)
    for _ in range(NODES):
        pipeline = pipeline + node()
    size = gp.Coordinate(voxel_size) * 10
    request = gp.BatchRequest({key: gp.Roi((0, 0, 0), size) for key in keys})
    best = float("inf")
    with gp.build(pipeline, seed=1):
        for _ in range(ROUNDS):
            start = time.perf_counter()
            pipeline.request_batch(request)
            best = min(best, time.perf_counter() - start)
    return best


def main():
    print(f"microseconds per node, a chain of {NODES}")
    print(f"{'node':<16}{'voxel size':<20}{'1 array':>10}{'4 arrays':>10}")
    for node in (Idle, IdleWithNeeds, IdleWithDice):
        for voxel_size in VOXEL_SIZES:
            one, four = (seconds(node, n, voxel_size) / NODES * 1e6 for n in (1, 4))
            print(f"{node.__name__:<16}{voxel_size!s:<20}{one:>10.1f}{four:>10.1f}")


if __name__ == "__main__":
    main()
