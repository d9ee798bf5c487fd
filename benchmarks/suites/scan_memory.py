"""The memory that a scan takes, of a volume and of one that is eight times as large."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row
from benchmarks.harness.side import Side
from voxflow.stores import Geometry, create_dataset

TITLE = "the most memory that a process has while it copies a volume block by block"
SHAPES = (256, 1024, 1024), (512, 2048, 2048)
BLOCK, CONTEXT = (64, 128, 128), (8, 32, 32)


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """One process for each volume."""
    peaks, versions = [], {}
    for shape in SHAPES:
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else FOLDER) as folder:
            make(folder, shape)
            common = {"folder": folder, "block": BLOCK, "context": CONTEXT, "kind": "any"}
            with Side("voxflow", "scan", workers=1, **common) as ours:
                peaks.append(ours.call("peak")["value"])
                versions = {ours.library: ours.versions}
    small, large = ("x".join(map(str, shape)) for shape in SHAPES)
    row = Row(large, small, peaks[1], peaks[0], peaks[0] / peaks[1], goal=1 / 1.1, unit="MB")
    return [row], versions


def make(folder: str, shape: tuple[int, int, int]) -> None:
    """A volume that compresses well, and an empty one."""
    for store, name in (("raw.zarr", "raw"), ("empty.zarr", "out")):
        dataset = create_dataset(
            Path(folder, store), name, shape, "u1", chunks=BLOCK, compression="blosc",
            geometry=Geometry((1, 1, 1), (0, 0, 0)),
        )  # fmt: skip
        if name == "raw":
            rng = np.random.default_rng(0)
            for z in range(0, shape[0], BLOCK[0]):
                coarse = rng.integers(1, 255, [n // 16 for n in (BLOCK[0], *shape[1:])], np.uint8)
                fine = coarse.repeat(16, 0).repeat(16, 1).repeat(16, 2)
                dataset.write((slice(z, z + BLOCK[0]),), fine)
