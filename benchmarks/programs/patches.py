"""A patch of a volume or a picture in memory, deformed and turned: gunpowder and voxflow."""

import contextlib
import math

import numpy as np
from batches import Batches
from serve import serve

# Of the patch, and of what it is taken from (voxels).
SIZES = {3: ((64, 256, 256), (160, 440, 440)), 2: ((1024, 1024), (2048, 2048))}
VOXEL, SPACING, SIGMA = 8, 32, 2


class Patches(Batches):
    """Raw and labels, elastic + rotation + flips + intensity."""

    def __init__(self, gp, dims, deform, subsample, pad):
        self.gp = gp
        self.raw, self.labels = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
        size, shape = SIZES[dims]
        rng = np.random.default_rng(0)
        voxels = self.voxel_size = gp.Coordinate((VOXEL,) * dims)
        raw = rng.integers(0, 255, shape, np.uint8)
        coarse = rng.integers(1, 500, [-(-n // 16) for n in shape]).astype(np.uint64)
        labels = coarse[np.ix_(*[np.arange(n) // 16 for n in shape])]
        sources = tuple(
            memory(gp, key, data, voxels, images)
            for key, data, images in ((self.raw, raw, True), (self.labels, labels, False))
        )
        plane = [dims - 2, dims - 1]
        if deform:
            spacing, sigma = voxels * SPACING, voxels * SIGMA
            elastic = gp.DeformAugment(spacing, sigma, subsample=subsample, rotation_axes=plane)
        else:
            wide = [(SPACING,) * dims, (SIGMA,) * dims, [0, math.pi / 2]]
            elastic = gp.ElasticAugment(*wide, subsample=subsample, spatial_dims=dims)
        self.nodes = {
            "location": gp.RandomLocation(),
            "elastic": elastic,
            "simple": gp.SimpleAugment(transpose_only=plane),
            "intensity": gp.IntensityAugment(self.raw, 0.9, 1.1, -0.1, 0.1),
        }
        pipeline = sources + gp.MergeProvider()
        if pad:
            pipeline = self.padded(pipeline)
        pipeline = pipeline + self.nodes["location"] + elastic + self.nodes["simple"]
        self.pipeline = pipeline + gp.Normalize(self.raw) + self.nodes["intensity"]
        self.request = gp.BatchRequest()
        for key in (self.raw, self.labels):
            self.request.add(key, voxels * gp.Coordinate(size))

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
def open_work(gp, dims=3, deform=False, subsample=1, pad=False):
    patches = Patches(gp, dims, deform, subsample, pad)
    with gp.build(patches.pipeline):
        yield patches


if __name__ == "__main__":
    serve(open_work)
