"""Volumes to read from: cells in sections, like those of CREMI, made here."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.spatial import cKDTree

from .environments import FOLDER

RESOLUTION = (40, 4, 4)  # nm


def volume(shape: tuple[int, int, int] = (128, 1024, 1024)) -> Path:
    """A file with ``volumes/raw`` (uint8) and ``volumes/labels/neuron_ids`` (uint64), gzip.

    Cells of a Voronoi diagram around points that wander from section to section, about 530 in one
    of 1024 x 1024; raw is bright within, dark at the borders, and noisy.
    """
    path = FOLDER / "data" / f"cells_{'x'.join(map(str, shape))}.hdf"
    if path.exists():
        return path
    print(f"making {path}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw, labels = cells(shape)
    part = path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        for name, data in (("volumes/raw", raw), ("volumes/labels/neuron_ids", labels)):
            dataset = file.create_dataset(name, data=data, compression="gzip")
            dataset.attrs["resolution"] = RESOLUTION
    part.rename(path)
    return path


def cells(shape: tuple[int, int, int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Raw and labels of `volume`."""
    rng = np.random.default_rng(seed)
    depth, height, width = shape
    count = max(4, round(530 / 1024**2 * (height + 120) * (width + 120)))
    points = rng.uniform((-60, -60), (height + 60, width + 60), (count, 2))
    wander = rng.normal(0, 1.2, (depth, count, 2)).cumsum(axis=0)
    names = rng.choice(10**6, count, replace=False).astype(np.uint64) + np.uint64(1)
    places = np.stack(np.mgrid[0:height:2, 0:width:2], axis=-1).reshape(-1, 2)
    raw, labels = np.empty(shape, np.uint8), np.empty(shape, np.uint64)
    coarse = (-(-height // 2), -(-width // 2))
    for z in range(depth):
        distance, nearest = cKDTree(points + wander[z]).query(places, k=2)
        near = names[nearest[:, 0]].reshape(coarse)
        border = (distance[:, 1] - distance[:, 0]).reshape(coarse)
        bright = 150 - 90 * np.exp(-((border / 4) ** 2))
        fine = [np.repeat(np.repeat(a, 2, 0), 2, 1)[:height, :width] for a in (near, bright)]
        labels[z] = fine[0]
        raw[z] = np.clip(fine[1] + rng.normal(0, 8, (height, width)), 0, 255)
    return raw, labels
