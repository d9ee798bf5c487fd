"""How long a training step waits for its batch."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

STEP, BATCHES = 0.02, 40
TITLE = f"waiting for a batch before each training step of {STEP * 1e3:g} ms (2 workers, median)"


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """The CREMI tutorial's batches, of about 30 ms each, decoded once."""
    file, rows, versions = str(volume()), [], {}
    for shape in ("classic", "modern"):
        with ExitStack() as stack:
            common = {"file": file, "shape": shape, "workers": 2}
            ours = stack.enter_context(Side("voxflow", "batches", cache=4 << 30, **common))
            theirs = stack.enter_context(Side("gunpowder", "batches", subsample=8, **common))
            versions = {side.library: side.versions for side in (ours, theirs)}
            ours.call("warm")
            for side in (ours, theirs):
                side.call("run", count=6)
            found = take_turns(
                ours, {"": theirs}, rounds, "step", counts=(BATCHES, 6), seconds=STEP
            )[""]
            work = f"{shape}, decoded once"
            rows.append(row(work, "gunpowder tuned, 2 workers", found, limit=0.001))
    return rows, versions
