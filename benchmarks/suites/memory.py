"""What workers cost in memory."""

from __future__ import annotations

from math import nan
from typing import Any

from benchmarks.harness.measure import Row
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "memory, the CREMI tutorial with all of its data decoded (pages divided by their users)"
WORKERS = (1, 2, 4)
VOXELS, BYTES = 128 * 1024 * 1024, 9


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Decoded data, results on their way, and the rest of each worker."""
    file, rows, versions = str(volume()), [], {}
    once = VOXELS * BYTES
    for workers in WORKERS:
        with Side("voxflow", "batches", file=file, shape="classic", workers=workers) as ours:
            ours.call("warm")
            ours.call("run", count=20 * workers)
            memory: dict[str, Any] = ours.call("memory")["value"]
            versions = {ours.library: ours.versions}
        private = max(memory["private"][2:])  # behind the parent and the server of forks
        shared, many = memory["shared"], f"{workers} worker{'s' * (workers > 1)}"
        rows += [
            Row(
                f"decoded data, {many}", "one copy", shared, once, once / shared,
                goal=1 / 1.2, unit="MB",
            ),
            Row(f"results on their way, {many}", "", memory["slot"], nan, nan, unit="MB"),
            Row(f"a worker's own, {many}", "", private, nan, nan, unit="MB"),
        ]  # fmt: skip
    return rows, versions
