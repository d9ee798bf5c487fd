"""Batches made by two workers."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "batches of the CREMI tutorial by two workers (PreCache)"
GOALS = {"warm": 20, "cold": 6}
CACHES = {"warm": 4 << 30, "cold": 0}
WHERE = {"warm": "decoded once", "cold": "gzip at each batch"}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Two workers beside two of gunpowder's, and beside one of ours."""
    file, rows, versions = str(volume()), [], {}
    for shape in ("classic", "modern"):
        for kind, cache in CACHES.items():
            with ExitStack() as stack:
                common = {"file": file, "shape": shape}
                ours = stack.enter_context(
                    Side("voxflow", "batches", workers=2, cache=cache, **common)
                )
                theirs = stack.enter_context(
                    Side("gunpowder", "batches", workers=2, subsample=8, **common)
                )
                one = stack.enter_context(
                    Side("voxflow", "batches", workers=1, cache=cache, **common)
                )
                versions = {side.library: side.versions for side in (ours, theirs)}
                for side in (ours, one):
                    if kind == "warm":
                        side.call("warm")
                    side.call("run", count=10)
                theirs.call("run", count=6)
                found = take_turns(ours, {"tuned": theirs}, rounds, counts=(60, 8))["tuned"]
                work = f"{shape}, {WHERE[kind]}"
                rows.append(row(work, "gunpowder tuned, 2 workers", found, goal=GOALS[kind]))
                scaling = take_turns(ours, {"one": one}, rounds, counts=(60, 40))["one"]
                rows.append(row(work, "voxflow, 1 worker", scaling, goal=1.8))
    return rows, versions
