"""Batches of the CREMI tutorial's pipeline: one process, one thread."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack

from benchmarks.harness.bandwidth import floor
from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

TITLE = "batches of the CREMI tutorial (one process, one thread)"
# gunpowder's own fields are float32 and looked up differently by a little; where a voxel lies right
# between two others, either may be nearest.
IMAGE, VOXELS = 2e-3, 5e-4

NEAR = {"as in the tutorial": 1, "tuned (subsample 8)": 8}
GOALS = {("warm", 1): 100, ("warm", 8): 20, ("cold", 1): 30, ("cold", 8): 5}
# Raw that is read (about), written as float32; labels read; affinities and weights written.
BYTES = {
    "classic": (84 * 380 * 380 + 8 * 57 * 85 * 85, 4 * 84 * 268**2 + 15 * 56**3),
    "modern": (32 * 380 * 380 + 8 * 13 * 245 * 245, 4 * 32 * 268**2 + 15 * 12 * 172**2),
}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Compare, then measure."""
    file, rows, versions = str(volume()), [], {}
    for shape in ("classic", "modern"):
        compare(file, shape)
        with ExitStack() as stack:
            common = {"file": file, "shape": shape}
            ours = {
                kind: stack.enter_context(Side("voxflow", "batches", cache=cache, **common))
                for kind, cache in (("warm", 4 << 30), ("cold", 0))
            }
            others = {
                name: stack.enter_context(
                    Side("gunpowder", "batches", subsample=subsample, **common)
                )
                for name, subsample in NEAR.items()
            }
            versions = {side.library: side.versions for side in (*ours.values(), *others.values())}
            ours["warm"].call("warm")
            for side in (*ours.values(), *others.values()):
                side.call("run", count=2)
            for kind, side in ours.items():
                found = take_turns(side, others, rounds, counts=(5, 1))
                where = "decoded once" if kind == "warm" else "gzip at each batch"
                rows += [
                    row(
                        f"{shape}, {where}", name, found[name],
                        goal=GOALS[kind, subsample], floor=floor(*BYTES[shape]),
                        note="gunpowder reads and decodes gzip HDF5 at each batch, in all rows",
                    )
                    for name, subsample in NEAR.items()
                ]  # fmt: skip
    return rows, versions


def compare(file: str, shape: str, count: int = 3) -> None:
    """Make the same batches from the same dice on both sides."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder, ExitStack() as stack:
        common = {"file": file, "shape": shape}
        theirs = stack.enter_context(Side("gunpowder", "batches", **common))
        ours = stack.enter_context(Side("voxflow", "batches", pad=True, **common))
        theirs.call("record", to=f"{folder}/", count=count)
        apart = ours.call("replay", of=f"{folder}/", count=count)["value"]
    print(f"{shape}: the same {count} batches differ by", apart, flush=True)
    if apart["RAW"] > IMAGE or max(apart["AFFINITIES"], apart["SCALE"]) > VOXELS:
        raise RuntimeError(f"the two sides do not do the same work: {apart}")
