"""The training pipeline of the CREMI tutorial, the same lines for gunpowder and for voxflow."""

import contextlib
import math
import time
from statistics import median

import memory
import numpy as np
import recorded
from chain import clocked
from serve import serve

SHAPES = {"classic": ((84, 268, 268), (56, 56, 56)), "modern": ((32, 268, 268), (12, 172, 172))}
NEIGHBORHOOD = [(-1, 0, 0), (0, -1, 0), (0, 0, -1)]


class Batches:
    """A pipeline that is built, and what is asked of it."""

    def __init__(self, gp, file, shape, subsample, workers, cache, pad, method):
        self.gp, self.voxel_size = gp, gp.Coordinate((40, 4, 4))
        keys = [gp.ArrayKey(name) for name in ("RAW", "LABELS", "AFFINITIES", "SCALE")]
        self.raw, self.labels, self.affinities, self.scale = keys
        self.pipeline = self.make(gp, file, subsample, workers, cache, pad, method)
        large, small = (self.voxel_size * gp.Coordinate(s) for s in SHAPES[shape])
        self.request = gp.BatchRequest()
        self.request.add(self.raw, large)
        self.request.add(self.affinities, small)
        self.request.add(self.scale, small)

    def make(self, gp, file, subsample, workers, cache, pad, method):
        raw, labels = self.raw, self.labels
        options = {} if gp.__name__ == "gunpowder" else {"cache": cache}
        self.source = gp.Hdf5Source(
            file,
            {raw: "volumes/raw", labels: "volumes/labels/neuron_ids"},
            {raw: gp.ArraySpec(interpolatable=True), labels: gp.ArraySpec(interpolatable=False)},
            **options,
        )
        self.nodes = {
            "location": gp.RandomLocation(),
            "elastic": gp.ElasticAugment(
                [4, 40, 40],
                [0, 2, 2],
                [0, math.pi / 2],
                prob_slip=0.05,
                prob_shift=0.05,
                max_misalign=10,
                subsample=subsample,
            ),
            "simple": gp.SimpleAugment(transpose_only=[1, 2]),
            "intensity": gp.IntensityAugment(raw, 0.9, 1.1, -0.1, 0.1, z_section_wise=True),
        }
        pipeline = (
            (self.padded(self.source) if pad else self.source)
            + gp.Normalize(raw)
            + self.nodes["location"]
            + self.nodes["elastic"]
            + self.nodes["simple"]
            + self.nodes["intensity"]
            + gp.GrowBoundary(labels, steps=3, only_xy=True)
            + gp.AddAffinities(NEIGHBORHOOD, labels, self.affinities)
            + gp.BalanceLabels(self.affinities, self.scale)
        )
        if workers:
            how = {"method": method} if method else {}
            pipeline = pipeline + gp.PreCache(2 * workers, workers, **how)
        return pipeline

    def padded(self, source):
        """A little around a source: where gunpowder happens to reach its border, voxflow may read
        one voxel more."""
        for key in (self.raw, self.labels):
            source = source + self.gp.Pad(key, self.voxel_size * 4)
        return source

    def arrays(self, batch):
        return {str(key): batch[key].data for key in (self.raw, self.affinities, self.scale)}

    def run(self, count=1):
        """Make batches, and look at them."""
        for _ in range(count):
            batch = self.pipeline.request_batch(self.request)
            for data in self.arrays(batch).values():
                data.ravel()[:: 1 << 16].sum()

    def profiled(self, count=1):
        """Make batches, and tell where the time went."""
        return clocked(self.pipeline, lambda: self.pipeline.profile(self.request, count - 1))

    def accounted(self, count=1, times=3):
        """Of how much of the time it is known where it went; the median of some profiles."""
        profiles = [self.pipeline.profile(self.request, count - 1) for _ in range(times)]
        return median(profile.accounted for profile in profiles)

    def asked(self, count=1):
        """Make batches; what the requests took."""
        return clocked(self.pipeline, lambda: self.plain(count))

    def plain(self, count=1):
        """Make batches."""
        for _ in range(count):
            self.pipeline.request_batch(self.request)

    def warm(self, step=32):
        """Read everything once, so that what can be kept is kept."""
        whole = self.source.spec[self.raw].roi
        for z in range(0, int(whole.shape[0]), 40 * step):
            part = self.gp.Roi(
                (z, 0, 0), (min(40 * step, int(whole.shape[0]) - z), *whole.shape[1:])
            )
            request = self.gp.BatchRequest({self.raw: part, self.labels: part})
            self.source.request_batch(request)

    def step(self, seconds, count):
        """Sleep as long as a training step takes, after each batch; how long it had to wait."""
        waits = []
        for _ in range(count):
            start = time.perf_counter()
            self.pipeline.request_batch(self.request)
            waits.append(time.perf_counter() - start)
            time.sleep(seconds)
        return {"wall": median(waits) * count, "all": waits}

    def memory(self):
        """Bytes of this process and of its workers, by what they are for (Linux)."""
        return memory.of_family()

    # -- the same dice on both sides ------------------------------------------------------------

    def record(self, to, count):
        """Make batches, and write down their dice and what came out (gunpowder)."""
        with recorded.dice(self) as log:
            for i in range(count):
                batch = self.pipeline.request_batch(self.request)
                np.savez(f"{to}{i}.npz", **log.taken(), **self.arrays(batch))

    def replay(self, of, count):
        """Make the same batches from their dice; how far they are from what came out (voxflow)."""
        differences = []
        for i in range(count):
            there = np.load(f"{of}{i}.npz")
            with recorded.replayed(self, there):
                batch = self.pipeline.request_batch(self.request)
            differences.append(recorded.differences(self.arrays(batch), there))
        return {name: max(d[name] for d in differences) for name in differences[0]}


@contextlib.contextmanager
def open_work(gp, file, shape, subsample=1, workers=0, cache=None, pad=False, method=None):
    batches = Batches(gp, file, shape, subsample, workers, cache, pad, method)
    with gp.build(batches.pipeline):
        yield batches


if __name__ == "__main__":
    serve(open_work)
