"""A large batch from a worker to the parent."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

MEGABYTES = 100
TITLE = f"hand-over of a batch of {MEGABYTES} MB that lies ready in a worker"


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Beside gunpowder, and beside a copy in our own process."""
    with ExitStack() as stack:
        ours = stack.enter_context(Side("voxflow", "handover", megabytes=MEGABYTES))
        theirs = stack.enter_context(Side("gunpowder", "handover", megabytes=MEGABYTES))
        for side in (ours, theirs):
            side.call("run", count=3)
        others = {"gunpowder": theirs, "memcpy": (ours, "memcpy")}
        found = take_turns(ours, others, 2 * rounds, counts=(10, 3))
        versions = {side.library: side.versions for side in (ours, theirs)}
    cpu = found["gunpowder"]
    note = (
        f"the parent's processor time: {cpu['our cpu'] * 1e3:.2f} ms with voxflow, "
        f"{cpu['their cpu'] * 1e3:.1f} ms with gunpowder; one copy is what the worker makes"
    )
    rows = [
        row("hand-over", "gunpowder's ProducerPool", found["gunpowder"], goal=10, note=note),
        row("hand-over", "one memcpy", found["memcpy"], goal=0.4),
    ]
    return rows, versions
