"""What a training session costs for each step."""

from __future__ import annotations

from benchmarks.harness.measure import Row, beside, row
from benchmarks.harness.side import Side

TITLE = "a training step of a session, beside a bare loop of torch on the same model and tensors"
STEPS = 40


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Steps take turns in one process."""
    ours, theirs, batches = [], [], []
    with Side("voxflow", "session") as side:
        versions = {side.library: side.versions}
        side.call("run", count=10)
        for _ in range(rounds):
            found = side.call("run", count=STEPS)["value"]
            ours += map(tuple, found["ours"])
            theirs += map(tuple, found["theirs"])
            batches += map(tuple, found["batches"])
    steps = [
        (wall - batch[0], cpu - batch[1]) for (wall, cpu), batch in zip(ours, batches, strict=True)
    ]
    # At most 3 % slower: the bare loop has its tensors ready.
    rows = [
        row("a step, its batch not counted", "bare loop", beside(steps, theirs), goal=0.97),
        row("a step and its batch", "bare loop, tensors ready", beside(ours, theirs)),
    ]
    return rows, versions
