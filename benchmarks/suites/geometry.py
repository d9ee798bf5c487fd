"""Coordinates and regions."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "coordinates and regions (gunpowder's are those of funlib.geometry)"
CALLS = 1000


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """All calls, in turn."""
    rows = []
    with ExitStack() as stack:
        ours = stack.enter_context(Side("voxflow", "geometry"))
        theirs = stack.enter_context(Side("gunpowder", "geometry"))
        for name in ours.call("names", count=1)["value"]:
            counts = (CALLS, CALLS)
            found = take_turns(ours, {"": theirs}, 2 * rounds, counts=counts, name=name)[""]
            rows.append(row(name, "funlib.geometry", found, unit="ns"))
        versions = {side.library: side.versions for side in (ours, theirs)}
    return rows, versions
