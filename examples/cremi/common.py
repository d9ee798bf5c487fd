"""What the scripts of this example share: paths, dataset names, the neighbourhood, files."""

from pathlib import Path

import h5py
import numpy as np

FOLDER = Path("runs/cremi")  # all that the scripts make, unless they are told otherwise
TRAINED, UNTRAINED = FOLDER / "trained.hdf", FOLDER / "untrained.hdf"
SAMPLES = [FOLDER / "data" / f"sample_{name}.hdf" for name in "ABC"]
HELD_OUT = SAMPLES[2]  # never trained on

RAW = "volumes/raw"
LABELS = "volumes/labels/neuron_ids"
AFFINITIES = "volumes/predictions/affinities"
SEGMENTATION = "volumes/segmentation"

# Pairs of voxels (z, y, x) of which the network says whether they are of one object: the direct
# neighbours, which join voxels, and some further away, which keep objects apart.
NEIGHBORHOOD = [
    [-1, 0, 0],
    [0, -1, 0],
    [0, 0, -1],
    [-2, 0, 0],
    [0, -9, 0],
    [0, 0, -9],
    [-1, -9, 0],
    [-1, 0, -9],
]


def load(path, dataset):
    """A dataset, its world offset and its voxel size (of the last three axes, z y x)."""
    with h5py.File(path, "r") as file:
        data = file[dataset]
        resolution = np.array(data.attrs["resolution"], float)
        return data[:], np.array(data.attrs.get("offset", np.zeros(3)), float), resolution


def save(path, dataset, data, offset, resolution):
    """Write a dataset, replacing one of that name, with its place in the world."""
    with h5py.File(path, "a") as file:
        if dataset in file:
            del file[dataset]
        file.create_dataset(dataset, data=data, compression="gzip")
        file[dataset].attrs["offset"] = offset
        file[dataset].attrs["resolution"] = resolution


def overlap(*volumes):
    """The part of each volume (data, offset, resolution) that all of them cover.

    Returns the cropped arrays, and the world offset of the part. Leading axes stay whole.
    """
    resolution = volumes[0][2]
    if not all(np.array_equal(resolution, other) for _, _, other in volumes):
        raise ValueError(f"voxel sizes differ: {[list(other) for _, _, other in volumes]}")
    starts = [np.round(offset / resolution).astype(int) for _, offset, _ in volumes]
    low = np.max(starts, axis=0)
    shapes = [data.shape[-3:] for data, _, _ in volumes]
    high = np.min([start + shape for start, shape in zip(starts, shapes, strict=True)], axis=0)
    if (low >= high).any():
        raise ValueError(f"the volumes share no voxel: they start at {[list(s) for s in starts]}")
    parts = []
    for (data, _, _), start in zip(volumes, starts, strict=True):
        box = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        parts.append(data[(..., *box)])
    return parts, low * resolution
