"""Make images of discs, with noise, and their labels: what `toy.yaml` trains on.

    python examples/toy/make_data.py [--out FOLDER]

leaves train.zarr and validation.zarr in examples/toy/data.
"""

import argparse
from pathlib import Path

import numpy as np

import voxflow as vf
from voxflow.stores import Geometry, create_dataset

FOLDER = Path(__file__).parent / "data"


def discs(rng, size=256, count=40):
    """An image (uint8) of discs that are brighter than the noise, and what is in them (0, 1)."""
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint8)
    for cy, cx, radius in zip(
        *rng.uniform(0, size, (2, count)), rng.uniform(5, 15, count), strict=True
    ):
        labels |= (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    image = 100 + 60.0 * labels + rng.normal(0, 30, labels.shape)
    return image.clip(0, 255).astype(np.uint8), labels


def save(path, dataset, data, voxel_size=(4, 4)):
    """Write an array whose voxels have a size, over one of that name."""
    place = Geometry(vf.Coordinate(voxel_size), vf.Coordinate(0 for _ in voxel_size))
    stored = create_dataset(
        path, dataset, data.shape, data.dtype, geometry=place, chunks=(64, 64), exist="overwrite"
    )
    stored.write(tuple(slice(0, n) for n in data.shape), data)


def make(folder=FOLDER, seed=0):
    """Write both files."""
    rng = np.random.default_rng(seed)
    for name in ("train", "validation"):
        image, labels = discs(rng)
        save(folder / f"{name}.zarr", "raw", image)
        save(folder / f"{name}.zarr", "labels", labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder")
    make(parser.parse_args().out)
