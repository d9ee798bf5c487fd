"""Affinities into segments by the mutex watershed: at once, and block by block."""

from __future__ import annotations

import tempfile
from statistics import median
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row
from benchmarks.harness.side import Side
from voxflow.ops.affinities import affinities, reach
from voxflow.stores import Geometry, create_dataset

TITLE = "mutex watershed of affinities in 8 channels (one process)"
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
SIDE, LARGE, BLOCK = 128, 256, 64


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Beside mwatershed, and beside a volume that is eight times as large."""
    tile = cells(SIDE)
    rows = []
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        put(folder, tile, SIDE)
        times: dict[str, list[Any]] = {"ours": [], "mwatershed": [], "blockwise": []}
        with Side("voxflow", "segment", folder=folder, block=[BLOCK] * 3, load=True) as side:
            versions = {"voxflow": side.versions}
            for name in ("ours", "blockwise"):
                side.call(name)  # kernels are loaded
            for _ in range(min(rounds, 3)):
                for name, found in times.items():
                    found.append(side.call(name)["wall"])
        for name, work in (("ours", "in memory"), ("blockwise", f"file to file, {BLOCK}^3")):
            ours, theirs = median(times[name]), median(times["mwatershed"])
            rate = {"MVx/s": SIDE**3 / ours / 1e6}
            rows.append(
                Row(
                    f"{SIDE}^3 voxels, {work}", "mwatershed in memory", ours, theirs,
                    theirs / ours, note=f"{rate['MVx/s']:.2f} MVx/s {work}", more=rate,
                )
            )  # fmt: skip
    peaks = {}
    for side_length in (SIDE, LARGE):
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            put(folder, tile, side_length)
            options = {"folder": folder, "block": [BLOCK] * 3, "load": False}
            with Side("voxflow", "segment", **options) as side:
                peaks[side_length] = side.call("blockwise")
    small, large = peaks[SIDE]["peak_bytes"], peaks[LARGE]["peak_bytes"]
    per_voxel = (large - small) / (LARGE**3 - SIDE**3)
    rows.append(
        Row(
            f"memory, {LARGE}^3", f"{SIDE}^3", large, small, small / large, unit="MB",
            note=f"the graph takes {per_voxel:.1f} bytes for each voxel of the volume, of which "
            f"{peaks[LARGE]['fragments'] / LARGE**3:.1%} begin a fragment",
            more={"bytes per voxel": per_voxel, "edges": peaks[LARGE]["edges"]},
        )
    )  # fmt: skip
    return rows, versions


def cells(side: int, count: int = 60) -> np.ndarray[Any, Any]:
    """Blurred, noisy affinities of a Voronoi diagram."""
    rng = np.random.default_rng(0)
    below, above = reach(NEIGHBORHOOD)
    around = [side + b + a for b, a in zip(below, above, strict=True)]
    grid = np.stack(np.meshgrid(*map(np.arange, around), indexing="ij"), -1).reshape(-1, 3)
    labels = cKDTree(rng.random((count, 3)) * around).query(grid)[1].reshape(around) + 1
    found = affinities(labels, NEIGHBORHOOD, np.float32)
    for channel in found:
        noise = gaussian_filter(rng.normal(size=channel.shape), 1) * 1.25
        channel[...] = np.clip(gaussian_filter(channel, 1) * 0.9 + 0.05 + noise, 0, 1)
    return np.round(found * 255).astype(np.uint8)


def put(folder: str, tile: np.ndarray[Any, Any], side: int) -> None:
    """Write a volume, of the same tile again and again."""
    shape = (len(tile), *[side] * 3)
    dataset = create_dataset(
        f"{folder}/a.zarr", "affinities", shape, "u1", chunks=(len(tile), *[BLOCK] * 3),
        geometry=Geometry((1, 1, 1), (0, 0, 0)), compression="blosc",
        attrs={"affinity_neighborhood": NEIGHBORHOOD},
    )  # fmt: skip
    for index in np.ndindex(*[side // SIDE] * 3):
        place = tuple(slice(SIDE * i, SIDE * (i + 1)) for i in index)
        dataset.write((slice(0, len(tile)), *place), tile)
