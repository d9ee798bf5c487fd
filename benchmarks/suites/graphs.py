"""Points and skeletons, drawn into arrays."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "RasterizeGraph, 128x128x128 (time in the node, one thread)"
SIZE = 128
# Least ratios, and the share of voxels that may differ: lines between two voxels, and colours that
# swallow each other in gunpowder.
WORKS = {
    "points": ("300 balls", 10, 0.0),
    "large": ("300 balls that fill the volume", 2, 0.0),
    "skeleton": ("a skeleton of 200 nodes", 10, 5e-4),
    "hollow": ("the same, hollow", 10, 5e-4),
    "colors": ("the same in 10 colours", 10, 1e-2),
    "masked": ("300 balls within 16 labels", 10, 0.0),
    "peaks": ("300 peaks", 2, 0.0),
}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Compare, then measure."""
    rows = []
    with ExitStack() as stack:
        ours = stack.enter_context(Side("voxflow", "graphs"))
        theirs = stack.enter_context(Side("gunpowder", "graphs"))
        for work, (title, goal, share) in WORKS.items():
            compare(ours, theirs, work, share)
            arguments = {"name": work, "size": SIZE}
            found = take_turns(ours, {"": theirs}, rounds, counts=(10, 2), **arguments)[""]
            rows.append(row(title, "gunpowder", found, goal=goal))
        versions = {side.library: side.versions for side in (ours, theirs)}
    return rows, versions


def compare(ours: Side, theirs: Side, work: str, share: float) -> None:
    """Both sides have to draw the same, but for a share of the voxels."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        files = [Path(folder, f"{side.library}.npy") for side in (ours, theirs)]
        for side, file in zip((ours, theirs), files, strict=True):
            side.call("outcome", name=work, size=SIZE, to=str(file))
        mine, other = map(np.load, files)
        differs = ~np.isclose(mine, other, atol=1e-5)
        if differs.mean() > share:
            raise AssertionError(f"{work}: {differs.mean():.2g} of the voxels differ")
