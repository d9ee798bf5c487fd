"""The first batch of a process: kernels are compiled once, and then read from disk."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack
from math import nan
from pathlib import Path
from statistics import median

from benchmarks.harness.measure import Row
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "from the start of a process, with its imports, to the first batch of the CREMI tutorial"
AT_ONCE = 8


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """With kernels compiled before and without, in one process and in several at once."""
    file, versions = str(volume()), {}
    times: dict[str, list[float]] = {name: [] for name in ("none", "all", "many", "gunpowder")}
    for _ in range(min(rounds, 3)):
        with tempfile.TemporaryDirectory() as folder:
            for name, library, count in (
                ("none", "voxflow", 1),
                ("all", "voxflow", 1),
                ("many", "voxflow", AT_ONCE),
                ("gunpowder", "gunpowder", 1),
            ):
                if name == "many":  # begin with nothing again
                    for part in Path(folder).iterdir():
                        shutil.rmtree(part)
                started = time.perf_counter()
                with ExitStack() as stack:
                    sides = [
                        stack.enter_context(_side(library, file, folder)) for _ in range(count)
                    ]
                    for side in sides:
                        side.ask("run")
                    for side in sides:
                        side.answer()
                    times[name].append(time.perf_counter() - started)
                    versions[library] = sides[0].versions
    took = {name: median(seconds) for name, seconds in times.items()}
    warm, theirs = took["all"], took["gunpowder"]
    rows = [
        Row("kernels are there", "gunpowder tuned", warm, theirs, theirs / warm, unit="s"),
        Row("no kernel is compiled yet", "", took["none"], nan, nan, limit=60.0, unit="s"),
        Row(
            f"{AT_ONCE} processes at once, no kernel is compiled yet", "", took["many"], nan, nan,
            unit="s",
        ),
    ]  # fmt: skip
    return rows, versions


def _side(library: str, file: str, folder: str) -> Side:
    kernels = {"NUMBA_CACHE_DIR": folder}
    return Side(library, "first", kernels, file=file, shape="classic", subsample=8)
