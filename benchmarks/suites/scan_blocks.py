"""What a scan costs for each block, whatever is done with it."""

from __future__ import annotations

from contextlib import ExitStack
from math import nan

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "what a scan costs itself: blocks of one voxel, from a source that has them ready"
FEW, MANY, PLANNED = 2_000, 100_000, 10_000_000
#: What so many blocks may leave in memory.
ROOM = 8e6


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """The time of one block beside gunpowder's, and the memory of many."""
    with ExitStack() as stack:
        ours = stack.enter_context(Side("voxflow", "scan_blocks"))
        theirs = stack.enter_context(Side("gunpowder", "scan_blocks"))
        for side in (ours, theirs):
            side.call("run", count=FEW)
        found = take_turns(ours, {"": theirs}, rounds, counts=(FEW, FEW))[""]
        rows = [row("one block", "gunpowder", found, goal=1, unit="us")]
        many = ours.call("run", count=MANY)
        rows += [
            Row(f"one of {MANY:,} blocks", "", many["wall"] / MANY, nan, nan, unit="us"),
            _memory(f"memory that {MANY:,} blocks add", many["added"]),
        ]
        planned = ours.call("plan", count=PLANNED)
        rows += [
            Row(f"going through {PLANNED:,} blocks", "", planned["wall"], nan, nan, unit="s"),
            _memory(f"memory that {PLANNED:,} blocks add", planned["added"]),
        ]
        versions = {side.library: side.versions for side in (ours, theirs)}
    return rows, versions


def _memory(work: str, added: float) -> Row:
    return Row(work, "", added, nan, nan, limit=ROOM, unit="MB")
