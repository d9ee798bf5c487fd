"""Affinities into segments, at once and block by block, by two methods."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from benchmarks.harness.environments import FOLDER
from benchmarks.harness.fragments import SIDE, write_graphs
from benchmarks.harness.measure import Row, beside
from benchmarks.harness.side import Side
from voxflow.ops.affinities import affinities, reach
from voxflow.stores import Geometry, create_dataset

TITLE = "segments of affinities (one thread)"
NEIGHBORHOOD = [
    [-1, 0, 0],
    [0, -1, 0],
    [0, 0, -1],
    [-2, 0, 0],
    [0, -9, 0],
    [0, 0, -9],
    [-1, -9, 0],
    [-1, 0, -9],
]
TILE, BLOCK = 128, 64
SMALL, LARGE, MEMORY_BLOCK = (128, 128, 128), (128, 256, 256), 32
"""Volumes whose memory is measured, of four and more blocks along each axis."""
FEW, MANY = (4, 4, 4), (8, 8, 8)
"""Blocks of volumes whose voxels are all fragments: a million, and eight."""
#: What is not needed any more is given back, and few decoded chunks are kept, which would hide what
#: the passes need themselves.
GIVEN_BACK = {
    "MALLOC_MMAP_MAX_": "65536",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "MALLOC_TOP_PAD_": "131072",
    "VOXFLOW_CACHE_BYTES": "8000000",
}
METHODS = {"mutex": ("mutex watershed", "mwatershed"), "watershed": ("watershed, mean", "waterz")}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Beside mwatershed and waterz, and beside a volume of another size."""
    tile = cells(TILE)
    rows, versions = [], {}
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        put(folder, tile, (TILE,) * 3)
        np.save(Path(folder, "affinities.npy"), tile)
        for method, (title, peer) in METHODS.items():
            with ExitStack() as stack:
                ours, blockwise = (
                    stack.enter_context(
                        Side("voxflow", "segment", folder=folder, block=[BLOCK] * 3)
                    )
                    for _ in range(2)
                )
                theirs = stack.enter_context(Side(peer, "segment", folder=folder))
                found = rounds_of(method, ours, blockwise, theirs, min(rounds, 3))
                versions |= {"voxflow": ours.versions, peer: theirs.versions}
            for where, times in found.items():
                rows.append(speed(f"{title}, {TILE}^3, {where}", f"{peer} in memory", times))
    rows += [row for method in METHODS for row in memory(method, tile)]
    return [*rows, join()], versions


def rounds_of(method: str, ours: Side, blockwise: Side, theirs: Side, rounds: int) -> Any:
    """Medians of both ways of ours, beside the other library."""
    sides = {"in memory": ours, "file to file": blockwise, "theirs": theirs}
    times: dict[str, list[Any]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            call = f"{method}_blockwise" if name == "file to file" else method
            answer = side.call(call, count=1)
            if turn:  # in the first one, kernels are loaded
                times[name].append((answer["wall"], answer["cpu"]))
    return {name: beside(times[name], times["theirs"]) for name in sides if name != "theirs"}


def speed(work: str, baseline: str, found: dict[str, Any]) -> Row:
    """A line, with the voxels of a second of processor time."""
    rate, other = (TILE**3 / found[name] / 1e6 for name in ("our cpu", "their cpu"))
    return Row(
        work, baseline, found["ours"], found["theirs"], found["ratio"], cpu=found["cpu"],
        note=f"{work}: {rate:.2f} million voxels a second of processor time; {baseline}: "
        f"{other:.2f}",
        more={"MVx/s": rate, "MVx/s of the other": other},
    )  # fmt: skip


def memory(method: str, tile: np.ndarray[Any, Any]) -> list[Row]:
    """What the passes and the join take, of two sizes of volumes."""
    shapes = SMALL, LARGE
    found = []
    for shape in shapes:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            put(folder, tile, shape)
            options = {"folder": folder, "block": [MEMORY_BLOCK] * 3}
            with Side("voxflow", "segment", GIVEN_BACK, **options) as side:
                found.append(side.call(f"{method}_blockwise", count=1)["value"])
    title, names = METHODS[method][0], ["x".join(map(str, shape)) for shape in shapes]
    fragments = [each["fragments"] for each in found]
    passes = [max(each["peaks"][step][0] for step in (0, 1, 3)) for each in found]
    joins = [each["peaks"][2][1] for each in found]
    note = f"{title}: one of {np.prod(shapes[1]) / fragments[1]:.0f} voxels begins a fragment"
    return [
        Row(f"{title}, memory of the passes, {names[1]}", names[0], passes[1], passes[0],
            passes[0] / passes[1], goal=1 / 1.1, unit="MB"),
        Row(f"{title}, memory of the join that is not of files, {names[1]}", names[0], joins[1],
            joins[0], joins[0] / joins[1], goal=1 / 1.1, unit="MB", note=note,
            more={"fragments": fragments}),
    ]  # fmt: skip


def join() -> Row:
    """What the join of a mutex watershed takes for a million fragments and for eight."""
    found = []
    for counts in (FEW, MANY):
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            for name, blocks in (("first", (2, 2, 2)), ("graph", counts)):
                write_graphs(Path(folder, name), blocks)
            with Side("voxflow", "join", GIVEN_BACK, folder=folder, side=SIDE) as side:
                side.call("join", name="first", counts=(2, 2, 2))  # kernels are loaded
                found.append(side.call("join", name="graph", counts=counts))
    fragments = [each["fragments"] for each in found]
    (few, many), (small, large) = fragments, [each["most"] for each in found]
    title = "mutex watershed, memory of the join that is not of files"
    added = [(each["most"] - each["before"]) / 1e6 for each in found]
    return Row(
        f"{title}, {many} fragments", f"{few} fragments", large, small, small / large,
        goal=1 / 1.1, unit="MB",
        note=f"{title}: {added[0]:.1f} MB more than before for {few} fragments, {added[1]:.1f} MB "
        f"for {many}; {found[1]['cpu'] / many * 1e6:.1f} us of processor time for each",
        more={"MB more than before": added, "cpu": [each["cpu"] for each in found]},
    )  # fmt: skip


def cells(side: int, count: int = 60) -> np.ndarray[Any, Any]:
    """Blurred, noisy affinities of a Voronoi diagram."""
    rng = np.random.default_rng(0)
    below, above = reach(NEIGHBORHOOD)
    around = [side + b + a for b, a in zip(below, above, strict=True)]
    grid = np.stack(np.meshgrid(*map(np.arange, around), indexing="ij"), -1).reshape(-1, 3)
    labels = cKDTree(rng.random((count, 3)) * around).query(grid)[1].reshape(around) + 1
    found = affinities(labels, NEIGHBORHOOD, np.float32)
    for channel in found:
        noise = gaussian_filter(rng.normal(size=channel.shape), 1) * 1.25
        channel[...] = np.clip(gaussian_filter(channel, 1) * 0.9 + 0.05 + noise, 0, 1)
    return np.round(found * 255).astype(np.uint8)


def put(folder: str, tile: np.ndarray[Any, Any], shape: tuple[int, ...]) -> None:
    """Write a volume, of the same tile again and again, and its direct neighbours once more."""
    Path(folder, "neighborhood.json").write_text(json.dumps(NEIGHBORHOOD))
    for name, channels in (("affinities", len(tile)), ("near", 3)):
        dataset = create_dataset(
            f"{folder}/a.zarr", name, (channels, *shape), "u1", chunks=(channels, *[BLOCK] * 3),
            geometry=Geometry((1, 1, 1), (0, 0, 0)), compression="blosc",
            attrs={"affinity_neighborhood": NEIGHBORHOOD[:channels]},
        )  # fmt: skip
        for index in np.ndindex(*(n // TILE for n in shape)):
            place = tuple(slice(TILE * i, TILE * (i + 1)) for i in index)
            dataset.write((slice(0, channels), *place), tile[:channels])
