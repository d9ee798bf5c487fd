"""Threads and processes as workers."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "batches of the CREMI tutorial by threads and by processes (decoded once)"
WAYS = {
    "2 processes": (2, "forkserver"),
    "4 processes": (4, "forkserver"),
    "2 threads": (2, "thread"),
    "4 threads": (4, "thread"),
}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Each beside one process."""
    file, rows, versions = str(volume()), [], {}
    for shape in ("classic", "modern"):
        for name, (workers, method) in WAYS.items():
            with ExitStack() as stack:
                common = {"file": file, "shape": shape, "cache": 4 << 30}
                many = Side("voxflow", "batches", workers=workers, method=method, **common)
                ours = stack.enter_context(many)
                one = stack.enter_context(Side("voxflow", "batches", workers=1, **common))
                versions = {ours.library: ours.versions}
                for side in (ours, one):
                    side.call("warm")
                    side.call("run", count=10)
                found = take_turns(ours, {"": one}, rounds, counts=(60, 40))[""]
                rows.append(row(f"{shape}, {name}", "1 process", found))
    return rows, versions
