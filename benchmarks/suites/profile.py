"""What it costs batches to be told where the time goes, and how much of the time is told."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "batches with pipeline.profile, beside the same without"
MOST, TOLD = 1 / 1.02, 0.95
COUNTS = {"chain": 500, "batches": 4}  # one batch of each round is made before the others


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """A chain of nodes that do next to nothing, and a training with and without workers."""
    large = {"file": str(volume()), "shape": "modern", "cache": 4 << 30}
    works = {
        "a chain of 20 nodes": ("chain", "run", {"kind": "rolls", "nodes": 20, "arrays": 1}),
        "CREMI, modern": ("batches", "plain", large),
        "CREMI, modern, 2 workers": ("batches", "plain", {**large, "workers": 2}),
    }
    rows, versions = [], {}
    for work, (program, plain, options) in works.items():
        with ExitStack() as stack:
            side = stack.enter_context(Side("voxflow", program, **options))
            versions = {side.library: side.versions}
            count = COUNTS[program]
            side.call(plain, count=count)
            told = side.call("profiled", count=count)["accounted"]
            found = take_turns(
                side, {"plain": (side, plain)}, 2 * rounds, "profiled", (count, count)
            )["plain"]
            note = f"{told:.1%} of the time is accounted for, {TOLD:.0%} are to be"
            rows.append(row(work, "without", found, goal=MOST, note=note))
    return rows, versions
