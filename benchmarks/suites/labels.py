"""Boundaries, affinities and weights from uint64 labels."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.bandwidth import floor
from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "targets from labels (uint64, time in the nodes, one thread)"
SHAPES = ((57, 57, 57), (13, 173, 173), (64, 256, 256))
# Bytes read and written for each voxel; least ratios for each shape.
WORKS = {
    "grow": ("GrowBoundary(steps=3, only_xy)", (8, 8), (10, 10, 10)),
    "grow3d": ("GrowBoundary(steps=3)", (8, 8), (10, 10, 10)),
    "affinities 3": ("AddAffinities, 3 neighbours", (8, 3), (4, 4, 2)),
    "affinities 9": ("AddAffinities, 9 neighbours", (8, 9), (4, 4, 2)),
    "affinities 12": ("AddAffinities, 12 neighbours", (8, 12), (4, 4, 2)),
    "balance": ("BalanceLabels of 3 affinities", (3, 12), (30, 30, 30)),
    "row": ("the three in a row", (8, 15), (12, 25, 25)),
}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Compare, then measure."""
    file, rows = str(volume()), []
    with ExitStack() as stack:
        ours = stack.enter_context(Side("voxflow", "labels", file=file))
        theirs = stack.enter_context(Side("gunpowder", "labels", file=file))
        for work, (title, (read, written), goals) in WORKS.items():
            for shape, goal in zip(SHAPES, goals, strict=True):
                size = "x".join(map(str, shape))
                if work == "affinities 12" and shape[0] == 13:
                    continue  # looks 4 sections and 27 voxels away, which is most of it
                arguments = {"name": work, "shape": shape}
                compare(ours, theirs, arguments)
                for side in (ours, theirs):
                    side.call("run", count=2, **arguments)
                found = take_turns(ours, {"": theirs}, rounds, counts=(10, 2), **arguments)[""]
                voxels = int(np.prod(shape))
                least = floor(read * voxels, written * voxels)
                rows.append(row(f"{title}, {size}", "gunpowder", found, goal=goal, floor=least))
        versions = {side.library: side.versions for side in (ours, theirs)}
    return rows, versions


def compare(ours: Side, theirs: Side, arguments: dict[str, Any]) -> None:
    """Both sides have to make the same arrays."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        files = [Path(folder, f"{side.library}.npz") for side in (ours, theirs)]
        for side, file in zip((ours, theirs), files, strict=True):
            side.call("outcome", to=str(file), **arguments)
        mine, other = map(np.load, files)
        for name in other:
            np.testing.assert_allclose(mine[name], other[name], rtol=1e-5, err_msg=str(arguments))
