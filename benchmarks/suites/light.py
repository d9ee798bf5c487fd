"""Batches that cost next to nothing: workers must not make them dearer."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "light batches with PreCache(num_workers=2), beside num_workers=0"
NODES = (0, 1, 5, 20, 50, 200)


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Chains of nodes that draw, of several lengths; gunpowder's workers for comparison."""
    rows, versions = [], {}
    for nodes in NODES:
        with ExitStack() as stack:
            common = {"nodes": nodes, "arrays": 1}
            rolls = {"kind": "rolls", **common}
            ours = stack.enter_context(Side("voxflow", "chain", workers=2, **rolls))
            plain = stack.enter_context(Side("voxflow", "chain", workers=0, **rolls))
            theirs = stack.enter_context(Side("gunpowder", "chain", workers=2, **common))
            versions = {side.library: side.versions for side in (ours, theirs)}
            for side in (ours, plain, theirs):
                side.call("run", count=100)
            others = {"num_workers=0": plain, "gunpowder, 2 workers": theirs}
            found = take_turns(ours, others, 2 * rounds, counts=(200, 50))
            # What the numbers of two runs of the same differ by is not slower.
            rows += [
                row(
                    f"a chain of {nodes} nodes", name, found[name],
                    goal=0.95 if name == "num_workers=0" else None, unit="us",
                )
                for name in others
            ]  # fmt: skip
    return rows, versions
