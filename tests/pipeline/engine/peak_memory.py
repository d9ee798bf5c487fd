"""How much memory a process takes for one request, as the system counts it, and what was told.

    python -m tests.pipeline.engine.peak_memory PIPELINE FOLDER

prints both, in bytes, as JSON. FOLDER has the volumes of `volumes`.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

import voxflow as gp
from voxflow.stores.cache.arena import default_arena

RAW, LABELS, OTHER, OUT = (gp.ArrayKey(name) for name in ("RAW", "LABELS", "OTHER", "OUT"))
SIZE = gp.Coordinate(40, 4, 4)
SHAPE = gp.Coordinate(64, 640, 640)
FLAT = gp.Coordinate(8192, 8192)
DATASETS = {"raw": np.uint8, "other": np.uint8, "labels": np.uint64, "flat": np.uint8}


def volumes(folder):
    """Write the volumes that pipelines read."""
    for name, dtype in DATASETS.items():
        shape, size, block = (SHAPE, SIZE, (32, 128, 128))
        if name == "flat":
            shape, size, block = (FLAT, gp.Coordinate(9.8, 4), (512, 512))
        dataset = gp.stores.create_dataset(
            folder / "volumes.zarr", name, tuple(shape), dtype, block=block,
            geometry=gp.stores.Geometry(size, size * 0),
        )  # fmt: skip
        rng = np.random.default_rng(0)
        for low in range(0, shape[0], block[0]):
            part = rng.integers(1, 250, (min(block[0], shape[0] - low), *shape[1:]), np.uint8)
            dataset.write((slice(low, low + len(part)), *map(slice, shape[1:])), part.astype(dtype))
        dataset.flush()


def voxels(*numbers):
    return SIZE * gp.Coordinate(numbers)


def source(folder, datasets, **options):
    return gp.ZarrSource(str(folder / "volumes.zarr"), datasets, **options)


def brighter():
    return gp.IntensityAugment(RAW, 0.9, 1.1, -0.1, 0.1)


def flat(folder):
    """2-D: normalised, blurred and made brighter."""
    nodes = gp.Normalize(RAW) + gp.Blur(RAW, (2.0, 2.0)) + brighter()
    large = gp.Roi((4900, 2000), (40180, 24000))
    return source(folder, {RAW: "flat"}) + nodes, {RAW: large}


def elastic(folder):
    """3-D: deformed, with affinities."""
    nodes = (
        gp.Pad(RAW, voxels(0, 300, 300))
        + gp.Pad(LABELS, voxels(0, 300, 300))
        + gp.Normalize(RAW)
        + gp.ElasticAugment((4, 40, 40), (0, 2, 2), (0, 1.5), spatial_dims=3)
        + gp.SimpleAugment(transpose_only=[1, 2])
        + gp.AddAffinities(-np.eye(3, dtype=int), LABELS, OUT)
    )
    large = gp.Roi(voxels(8, 100, 100), voxels(48, 440, 440))
    return source(folder, {RAW: "raw", LABELS: "labels"}) + nodes, {RAW: large, OUT: large}


def random(folder):
    """Somewhere, turned, with another brightness."""
    nodes = (
        gp.RandomLocation()
        + gp.Normalize(RAW)
        + gp.SimpleAugment(transpose_only=[1, 2])
        + brighter()
    )
    large = gp.Roi((0, 0, 0), voxels(56, 600, 600))
    return source(folder, {RAW: "raw"}) + nodes, {RAW: large}


def predict(folder):
    """What a small network says of a block."""
    import torch

    torch.set_num_threads(1)
    conv, relu = torch.nn.Conv3d, torch.nn.ReLU
    model = torch.nn.Sequential(conv(1, 16, 3), relu(), conv(16, 16, 3), relu(), conv(16, 1, 1))
    nodes = (
        gp.Normalize(RAW)
        + gp.Unsqueeze([RAW])
        + gp.Unsqueeze([RAW])
        + gp.torch.Predict(
            model,
            {0: RAW},
            {0: OUT},
            {OUT: gp.ArraySpec(dtype=np.float32)},
            context=voxels(2, 2, 2),
            device="cpu",
        )
        + gp.Squeeze([OUT])
    )  # fmt: skip
    return source(folder, {RAW: "raw"}) + nodes, {
        OUT: gp.Roi(voxels(4, 4, 4), voxels(48, 256, 256))
    }


def merged(folder):
    """Two sources, one of which keeps no chunks."""
    nodes = gp.MergeProvider() + gp.Normalize(RAW) + gp.Normalize(OTHER)
    raw, other = source(folder, {RAW: "raw"}), source(folder, {OTHER: "other"}, cache=0)
    large = gp.Roi(voxels(4, 4, 4), voxels(56, 600, 600))
    return (raw, other) + nodes, {RAW: large, OTHER: large}


PIPELINES = {
    function.__name__: function for function in (flat, elastic, random, predict, merged)
}  # fmt: skip


def memory(name):
    """A number of bytes that the system knows of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


def beside():
    """What is kept of decoded chunks and is not in the memory of this process, as nobody looked."""
    return 512 * os.fstat(default_arena()._memory.fd).st_blocks - memory("RssShmem")


def growth(work):
    """By how much the most that there is exceeds what there is before."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = memory("VmRSS") + beside()
    work()
    return memory("VmHWM") + beside() - before


def main(name, folder):
    pipeline, regions = PIPELINES[name](Path(folder))
    large, small = gp.BatchRequest(regions), gp.BatchRequest()
    with gp.build(pipeline, seed=1):
        for key, roi in regions.items():
            size = pipeline.spec[key].voxel_size
            small[key] = gp.ArraySpec(gp.Roi(roi.offset, size * 20))
        told = pipeline.explain(large)
        pipeline.request_batch(small)  # what is loaded, compiled and allocated once
        taken = growth(lambda: pipeline.request_batch(large))
    print(json.dumps({"held": told.memory.expected, "kept": told.kept, "taken": taken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
