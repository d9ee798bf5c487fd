"""What a training session costs for each step."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row, beside, row
from benchmarks.harness.side import Side

TITLE = "a training step of a session, beside a bare loop of torch on the same model and tensors"
STEPS = 40
WATCHED, EVERY = 200, 50
TRACE = "session-hooks.json"


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
        watched = side.call("watched", count=WATCHED, every=EVERY, trace=str(FOLDER / TRACE))
    steps = [
        (wall - batch[0], cpu - batch[1]) for (wall, cpu), batch in zip(ours, batches, strict=True)
    ]
    # At most 3 % slower: the bare loop has its tensors ready.
    rows = [
        row("a step, its batch not counted", "bare loop", beside(steps, theirs), goal=0.97),
        row("a step and its batch", "bare loop, tensors ready", beside(ours, theirs)),
    ]
    return [*rows, *watching(watched["value"])], versions


def watching(found: dict[str, Any]) -> list[Row]:
    """What hooks cost the thread that trains, as a share of the steps; most is done beside it."""
    rows = []
    for name, (here, beside_it) in found["hooks"].items():
        if name == "Seconds":
            continue
        note = (
            f"{name}: {1e3 * here / WATCHED:.2f} ms a step in the thread that trains, "
            f"{1e3 * beside_it / WATCHED:.2f} ms in another thread (trace: {TRACE})"
        )
        step = found["steps"] / WATCHED
        took = step + here / WATCHED
        rows.append(Row(f"a step and {name}", "the step", took, step, step / took, note=note))
    return rows
