"""What it costs batches to be told where the time goes, and how much of the time is told."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "batches with pipeline.profile, beside the same without: processor time of requests"
MOST, TOLD = 1 / 1.02, 0.95
COUNTS = {"chain": 100, "batches": 24}  # one batch of each round is made before the others
TURNS, WITH_WORKERS = {"chain": 20, "batches": 8}, 24  # for each round: what is to be seen is small


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """A chain of nodes that do next to nothing, and a training with and without workers."""
    large = {"file": str(volume()), "shape": "modern", "cache": 4 << 30}
    works = {
        "a chain of 20 nodes": ("chain", {"kind": "rolls", "nodes": 20, "arrays": 1}),
        "CREMI, modern": ("batches", large),
        "CREMI, modern, 2 workers": ("batches", {**large, "workers": 2}),
    }
    rows, versions = [], {}
    for work, (program, options) in works.items():
        with ExitStack() as stack:
            side = stack.enter_context(Side("voxflow", program, **options))
            versions = {side.library: side.versions}
            count = COUNTS[program]
            side.call("asked", count=count)
            told = side.call("accounted", count=count)["value"]
            # Beside workers, what a turn takes differs by a tenth from the next one.
            turns = WITH_WORKERS if "workers" in options else TURNS[program]
            sides = {"plain": (side, "asked")}
            found = take_turns(side, sides, turns * rounds, "profiled", (count, count))["plain"]
            # Whoever else is at work on this machine would decide it by the clock on the wall. All
            # of the time counts: medians of turns scatter half as much again as sums.
            found |= {"ours": found["our cpu"], "theirs": found["their cpu"]}
            found["ratio"] = found["cpu of all"]
            note = f"{told:.1%} of the time is accounted for, {TOLD:.0%} are to be"
            rows.append(row(work, "without", found, goal=MOST, note=note))
    return rows, versions
