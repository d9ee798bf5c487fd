"""Graphs of the blocks of volumes in which each voxel is a fragment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from voxflow.segmentation import MutexWatershed
from voxflow.segmentation.block import Block
from voxflow.segmentation.nodes import graph_path

SIDE = 25
"""Voxels of a block along each axis."""
NEIGHBORHOOD = np.array(
    [
        *([-1, 0, 0], [0, -1, 0], [0, 0, -1]),
        *([-2, 0, 0], [0, -3, 0], [0, 0, -3]),
        *([-1, -3, 0], [-1, 0, -3], [0, -3, -3]),
    ]
)
"""Direct neighbours attract, the others repel: six edges of a fragment, and twelve."""


def write_graphs(folder: Path, counts: tuple[int, ...]) -> None:
    """Write a file for each block, of so many along each axis."""
    folder.mkdir(parents=True)
    method, volume = MutexWatershed(), np.multiply(counts, SIDE)
    reach = method.reach(NEIGHBORHOOD)
    for number, place in enumerate(np.ndindex(*counts)):
        begin = np.multiply(place, SIDE)
        low, high = np.maximum(begin - reach, 0), np.minimum(begin + SIDE + reach, volume)
        own = tuple(slice(int(b), int(b) + SIDE) for b in begin - low)
        voxels = np.ravel_multi_index(np.mgrid[tuple(map(slice, low, high))], tuple(volume))
        block = Block(
            affinities(voxels), NEIGHBORHOOD, np.ones(voxels.shape, bool), own,
            tuple(map(int, low)), tuple(map(int, volume)),
        )  # fmt: skip
        graph = method.graph(block, voxels.astype(np.uint64) + np.uint64(1))
        graph.save(graph_path(folder, number))


def affinities(voxels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Noise that each voxel always has, by its number (splitmix64, Steele et al. 2014)."""
    found = np.empty((len(NEIGHBORHOOD), *voxels.shape), np.float32)
    for channel, offset in enumerate(NEIGHBORHOOD):
        key = voxels.astype(np.uint64) * np.uint64(len(NEIGHBORHOOD)) + np.uint64(channel + 1)
        key *= np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            key = (key ^ (key >> np.uint64(shift))) * np.uint64(factor)
        noise = (key >> np.uint64(40)) / np.float32(2**24)
        found[channel] = 0.5 + 0.5 * noise if abs(offset).sum() == 1 else 0.5 - 0.45 * noise
    return found
