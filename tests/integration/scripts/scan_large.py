"""Scans a volume with a model that copies; prints the memory before, and the most, in MiB.

``scan_large.py FOLDER SHAPE make|scan [THREADS]``; so many threads have taken memory before.
"""

import shutil
import sys
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import psutil

import voxflow as gp
from voxflow.stores import Geometry, create_dataset

folder, shape = sys.argv[1], tuple(map(int, sys.argv[2].split("x")))
raw, out = gp.ArrayKey("RAW"), gp.ArrayKey("OUT")
block, context = gp.Coordinate(64, 128, 128), gp.Coordinate(8, 32, 32)


class Copy(gp.BatchFilter):
    """Looks at some context, and gives back the middle."""

    def __init__(self, context):
        self.context = context

    def setup(self):
        spec = self.spec[raw].copy()
        spec.roi = spec.roi.grow(-self.context, -self.context)
        self.provides(out, spec)

    def prepare(self, request):
        needed = gp.BatchRequest()
        needed[raw] = gp.ArraySpec(request[out].roi.grow(self.context, self.context))
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


def make(name, shape):
    geometry = Geometry(gp.Coordinate(40, 4, 4), gp.Coordinate(0, 0, 0))
    options = {"geometry": geometry, "chunks": tuple(block), "compression": "blosc:lz4"}
    dataset = create_dataset(f"{folder}/{name}.zarr", "raw", shape, np.uint8, **options)
    slab = np.add.outer(np.arange(64), np.add.outer(np.arange(shape[1]), np.arange(shape[2])))
    for z in range(0, shape[0], 64):
        dataset.write((slice(z, z + 64),), (slab + z).astype(np.uint8))


def scan(name, target, progress):
    voxel_size = gp.Coordinate(40, 4, 4)
    reference = gp.BatchRequest()
    reference.add(raw, (block + context * 2) * voxel_size)
    reference.add(out, block * voxel_size)
    pipeline = (
        gp.ZarrSource(f"{folder}/{name}.zarr", {raw: "raw"})
        + gp.Pad(raw, context * voxel_size)
        + Copy(context * voxel_size)
        + gp.ZarrWrite({out: "out"}, folder, f"{target}.zarr", "blosc:lz4")
    )
    gp.scan(pipeline, reference, progress=progress)


def run_threads(count):
    """Have so many threads at once take memory."""

    def take(all_there):
        bytearray(5000)
        all_there.wait()

    all_there = Barrier(count)
    threads = [Thread(target=take, args=(all_there,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def most_in_memory():
    """Of this process, in MiB (Linux); `resource` counts what it was forked from, too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) >> 10
    raise OSError("/proc/self/status has no VmHWM")


if sys.argv[3] == "make":
    make("raw", shape)
    make("small", tuple(block))
    sys.exit()

for name in ("small_out", "out"):
    shutil.rmtree(f"{folder}/{name}.zarr", ignore_errors=True)
if len(sys.argv) > 4 and int(sys.argv[4]):
    run_threads(int(sys.argv[4]))
scan("small", "small_out", gp.ScanCallback())  # libraries take some room, too, once
before = psutil.Process().memory_info().rss >> 20
scan("raw", "out", Forecast())
print(before, most_in_memory())
