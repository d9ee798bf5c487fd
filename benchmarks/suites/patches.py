"""A patch of 64 x 256 x 256 voxels, deformed and turned in 3-D."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack

from benchmarks.harness.bandwidth import floor
from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

from .batches import IMAGE, VOXELS

TITLE = "raw + labels, 64 x 256 x 256, elastic and rotation in 3-D, flips, intensity (one thread)"
OTHERS = {
    "ElasticAugment, as it comes": ({"subsample": 1}, 40),
    "ElasticAugment, subsample 8": ({"subsample": 8}, 8),
    "DeformAugment, subsample 8": ({"subsample": 8, "deform": True}, 8),
}
COUNT = 64 * 256 * 256


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Compare, then measure."""
    compare()
    with ExitStack() as stack:
        ours = stack.enter_context(Side("voxflow", "patches"))
        others = {
            name: stack.enter_context(Side("gunpowder", "patches", **options))
            for name, (options, _) in OTHERS.items()
        }
        for side in (ours, *others.values()):
            side.call("run", count=2)
        found = take_turns(ours, others, rounds, counts=(5, 1))
        versions = {side.library: side.versions for side in (ours, *others.values())}
    least = floor(2.5 * 9 * COUNT, 12 * COUNT)  # a turned patch reads 2.5 times its size
    rows = [
        row("3-D patch", name, found[name], goal=goal, floor=least)
        for name, (_, goal) in OTHERS.items()
    ]
    return rows, versions


def compare(count: int = 2) -> None:
    """Make the same patches from the same dice on both sides."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder, ExitStack() as stack:
        theirs = stack.enter_context(Side("gunpowder", "patches"))
        ours = stack.enter_context(Side("voxflow", "patches", pad=True))
        theirs.call("record", to=f"{folder}/", count=count)
        apart = ours.call("replay", of=f"{folder}/", count=count)["value"]
    print(f"the same {count} patches differ by", apart, flush=True)
    # gunpowder rounds raw to whole numbers before it is normalised, as voxflow does.
    if apart["RAW"] > IMAGE + 1 / 255 or apart["LABELS"] > VOXELS:
        raise RuntimeError(f"the two sides do not do the same work: {apart}")
