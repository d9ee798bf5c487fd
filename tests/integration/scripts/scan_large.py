"""Scans a volume with a model that copies; prints the memory before, and the most, in MB."""

import resource
import sys

import numpy as np
import psutil

import voxflow as gp
from voxflow.stores import Geometry, create_dataset

folder, shape = sys.argv[1], tuple(map(int, sys.argv[2].split("x")))
raw, out = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
block, context = gp.Coordinate(64, 128, 128), gp.Coordinate(8, 32, 32)


class Copy(gp.BatchFilter):
    """Looks at some context, and gives back the middle."""

    def setup(self):
        spec = self.spec[raw].copy()
        spec.roi = spec.roi.grow(-context, -context)
        self.provides(out, spec)

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[raw] = gp.ArraySpec(request[out].roi.grow(context, context))
        return needed

    def process(self, batch, request):
        inner = batch[raw].crop(request[out].roi)
        spec = self.spec[out].copy()
        spec.roi = request[out].roi
        batch[out] = gp.Array(inner.data.copy(), spec)


class Forecast(gp.ScanCallback):
    """Shows what a scan says beforehand, and nothing else."""

    def plan(self, text):
        print(text)


if len(sys.argv) > 3:  # make the volume
    geometry = Geometry(gp.Coordinate(40, 4, 4), gp.Coordinate(0, 0, 0))
    options = {"geometry": geometry, "chunks": tuple(block), "compression": "blosc:lz4"}
    dataset = create_dataset(f"{folder}/raw.zarr", "raw", shape, np.uint8, **options)
    slab = np.add.outer(np.arange(64), np.add.outer(np.arange(shape[1]), np.arange(shape[2])))
    for z in range(0, shape[0], 64):
        dataset.write((slice(z, z + 64),), (slab + z).astype(np.uint8))
    sys.exit()

voxel_size = gp.Coordinate(40, 4, 4)
block, context = block * voxel_size, context * voxel_size
reference = gp.BatchRequest()
reference.add(raw, block + context * 2)
reference.add(out, block)
pipeline = (
    gp.ZarrSource(f"{folder}/raw.zarr", {raw: "raw"})
    + gp.Pad(raw, context)
    + Copy()
    + gp.ZarrWrite({out: "out"}, folder, "out.zarr", "blosc:lz4")
)
before = psutil.Process().memory_info().rss >> 20
gp.scan(pipeline, reference, progress=Forecast())
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
