"""Scores of segmentations, and the memory that a volume takes which does not fit into it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from math import prod

import numpy as np

from benchmarks.harness.bandwidth import floor
from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "scores of a segmentation (uint64, one thread)"
SHAPE = (24, 512, 512)
SIZES = (40, 12)
"""Of objects, in voxels along an axis."""
BLOCK_VOXELS = 64 * 256 * 256
VOXELS = int(float(os.environ.get("VOXFLOW_BENCH_VOXELS", "1e9")))
"""Of the volume that is streamed."""


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Compare, then measure."""
    rows: list[Row] = []
    for size in SIZES:
        with ExitStack() as stack:
            ours, theirs = (
                stack.enter_context(Side("voxflow", "evaluation", shape=SHAPE, size=size))
                for _ in range(2)
            )
            values = [
                side.call(name, count=1)["value"]["scores"]
                for side, name in ((ours, "run"), (theirs, "skimage"))
            ]
            np.testing.assert_allclose(*values, atol=1e-9)
            found = take_turns(
                ours,
                {"scikit-image": (theirs, "skimage"), "numpy.unique": (theirs, "numpy")},
                rounds,
                counts=(3, 1),
            )
            least, shape = floor(16 * prod(SHAPE), 0), "x".join(map(str, SHAPE))
            for name, times in found.items():
                title = f"VOI and Rand error, {shape}, objects of {size} voxels"
                more = {"ns per voxel": 1e9 * times["ours"] / prod(SHAPE)}
                rows.append(row(title, name, times, floor=least, goal=5))
                rows[-1].more |= more
            versions = {ours.library: ours.versions}
    return [*rows, *streamed()], versions


def streamed() -> list[Row]:
    """A volume made while it is read, and one of an eighth: time for each voxel, and memory."""
    blocks = max(VOXELS // BLOCK_VOXELS, 8)
    found = []
    for count in (blocks, blocks // 8):
        with Side("voxflow", "evaluation", shape=(1, 64, 64), size=4) as side:
            side.call("run", count=1)
            found.append(side.call("stream", blocks=count))
    large, small = found
    title = f"evaluate, {blocks * BLOCK_VOXELS:.1e} voxels streamed"
    parts = blocks / (blocks // 8)
    voxels = blocks * BLOCK_VOXELS
    rate = {f"{kind} ns per voxel": 1e9 * large[kind] / voxels for kind in ("wall", "cpu")}
    scaled = small["wall"] * parts
    return [
        Row(title, "an eighth", large["wall"], scaled, scaled / large["wall"], more=rate,
            cpu=small["cpu"] * parts / large["cpu"]),
        Row(f"{title}, memory", "an eighth", large["memory"], small["memory"],
            small["memory"] / large["memory"], goal=1 / 1.1, unit="MB"),
    ]  # fmt: skip
