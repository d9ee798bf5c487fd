"""What the engine itself costs."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

NODES = 50
TITLE = f"a node that does nothing, in a chain of {NODES} (times are of one node)"
GOALS = {1: 12, 4: 30}
KINDS = {
    "idle": "a node of a user",
    "rolls": "its generator drawn",
}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Measure chains with one and with four arrays."""
    rows, versions = [], {}
    for kind, what in KINDS.items():
        for arrays, goal in GOALS.items():
            with ExitStack() as stack:
                theirs = stack.enter_context(Side("gunpowder", "chain", nodes=NODES, arrays=arrays))
                ours = stack.enter_context(
                    Side("voxflow", "chain", kind=kind, nodes=NODES, arrays=arrays)
                )
                versions = {side.library: side.versions for side in (ours, theirs)}
                for side in (ours, theirs):
                    side.call("run", count=20)
                found = take_turns(ours, {"": theirs}, 3 * rounds, counts=(100, 5))[""]
                for name in ("ours", "theirs"):
                    found[name] /= NODES
                title = f"{what}, {arrays} array{'s' * (arrays > 1)}"
                aim = goal if kind == "rolls" else None
                rows.append(row(title, "gunpowder, idle", found, goal=aim, unit="us"))
    return rows, versions
