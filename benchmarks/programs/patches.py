"""A patch of a volume in memory, deformed and turned in 3-D: gunpowder and voxflow."""

import contextlib
import math

import numpy as np
from batches import Batches
from serve import serve

VOXELS, SIZE = (8, 8, 8), (64, 256, 256)
SPACING, SIGMA = (32, 32, 32), (2, 2, 2)  # voxels


class Patches(Batches):
    """Raw and labels, elastic + rotation + flips + intensity."""

    def __init__(self, gp, deform, subsample, pad, shape=(160, 440, 440)):
        self.gp = gp
        self.raw, self.labels = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
        rng = np.random.default_rng(0)
        voxels = self.voxel_size = gp.Coordinate(VOXELS)
        raw = rng.integers(0, 255, shape, np.uint8)
        coarse = rng.integers(1, 500, [-(-n // 16) for n in shape]).astype(np.uint64)
        labels = coarse[np.ix_(*[np.arange(n) // 16 for n in shape])]
        sources = tuple(
            memory(gp, key, data, voxels, images)
            for key, data, images in ((self.raw, raw, True), (self.labels, labels, False))
        )
        size = gp.Coordinate(SPACING) * voxels
        if deform:
            sigma = gp.Coordinate(SIGMA) * voxels
            elastic = gp.DeformAugment(size, sigma, subsample=subsample, rotation_axes=[1, 2])
        else:
            elastic = gp.ElasticAugment(SPACING, SIGMA, [0, math.pi / 2], subsample=subsample)
        self.nodes = {
            "location": gp.RandomLocation(),
            "elastic": elastic,
            "simple": gp.SimpleAugment(transpose_only=[1, 2]),
            "intensity": gp.IntensityAugment(self.raw, 0.9, 1.1, -0.1, 0.1),
        }
        pipeline = sources + gp.MergeProvider()
        if pad:
            pipeline = self.padded(pipeline)
        pipeline = pipeline + self.nodes["location"] + elastic + self.nodes["simple"]
        self.pipeline = pipeline + gp.Normalize(self.raw) + self.nodes["intensity"]
        self.request = gp.BatchRequest()
        for key in (self.raw, self.labels):
            self.request.add(key, voxels * gp.Coordinate(SIZE))

    def arrays(self, batch):
        return {str(key): batch[key].data for key in (self.raw, self.labels)}


def memory(gp, key, data, voxels, images):
    """A source of an array in memory: that of voxflow, or a few lines for gunpowder's 1.4.4."""
    spec = gp.ArraySpec(
        gp.Roi((0,) * data.ndim, voxels * gp.Coordinate(data.shape)),
        voxels,
        interpolatable=images,
        dtype=data.dtype,
    )
    if gp.__name__ == "voxflow":
        return gp.ArraySource(key, gp.Array(data, spec))

    class Memory(gp.BatchProvider):
        def setup(self):
            self.provides(key, spec)

        def provide(self, request):
            batch, here = gp.Batch(), spec.copy()
            here.roi = request[key].roi
            batch[key] = gp.Array(data[(here.roi / voxels).to_slices()].copy(), here)
            return batch

    return Memory()


@contextlib.contextmanager
def open_work(gp, deform=False, subsample=1, pad=False):
    patches = Patches(gp, deform, subsample, pad)
    with gp.build(patches.pipeline):
        yield patches


if __name__ == "__main__":
    serve(open_work)
