"""The nearest equal work of other libraries."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.bandwidth import floor
from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "raw + labels, elastic and rotation, flips, intensity, beside other libraries (one thread)"
VOLUME, PICTURE = 64 * 256 * 256, 1024 * 1024
NOTE = (
    "the others turn a float32 patch that lies in memory, voxflow takes it at a random place of a "
    "larger uint8 volume and also normalises it; parameters are near, not equal"
)


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Patches of volumes, and pictures."""
    rows: list[Row] = []
    versions: dict[str, dict[str, str]] = {}
    for work, dims, voxels, names, goal in (
        ("64 x 256 x 256", 3, VOLUME, ("batchgeneratorsv2", "monai", "torchio"), 10),
        ("1024 x 1024", 2, PICTURE, ("albumentations",), None),
    ):
        with ExitStack() as stack:
            ours = stack.enter_context(Side("voxflow", "patches", dims=dims))
            others = {name: stack.enter_context(Side(name, "peers")) for name in names}
            for side in (ours, *others.values()):
                side.call("run", count=2)
            found = take_turns(ours, others, rounds, counts=(5, 1))
            versions |= {side.library: side.versions for side in (ours, *others.values())}
        least = floor(2.5 * 9 * voxels, 12 * voxels)
        rows += [row(work, name, found[name], goal=goal, floor=least, note=NOTE) for name in names]
    return rows, versions
