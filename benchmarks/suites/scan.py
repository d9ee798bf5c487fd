"""A volume read, copied by a model that needs context, and written, block by block."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numcodecs  # type: ignore[import-untyped]
import numpy as np
import zarr

from benchmarks.harness.environments import FOLDER
from benchmarks.harness.measure import Row, beside, row, turns
from benchmarks.harness.side import Side
from benchmarks.harness.volumes import volume

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPE = (256, 1024, 1024)
MEGABYTES = 268
TITLE = f"{' x '.join(map(str, SHAPE))} uint8 ({MEGABYTES} MB) copied block by block with context"
CODECS = {
    "lz4": numcodecs.Blosc("lz4", 5, numcodecs.Blosc.SHUFFLE),
    "zstd-5": numcodecs.Zstd(5),
}
LARGE, SMALL = ((64, 128, 128), (8, 32, 32)), ((64, 64, 64), (8, 16, 16))
KINDS = {
    "lz4, blocks of 64x128x128": ("lz4", *LARGE),
    "zstd-5, blocks of 64x128x128": ("zstd-5", *LARGE),
    "lz4, blocks of 64x64x64": ("lz4", *SMALL),
}
# Ours beside whom, with how many workers, and what is aimed at.
GOALS = {
    ("loop over the stores", 1): 0.85,
    ("loop over tensorstore", 1): 0.85,
    ("gunpowder", 1): {"lz4": 4, "zstd-5": 2.5},
    ("gunpowder", 2): {"lz4": 5, "zstd-5": 2.5},
    ("daisy with zarr", 1): 1,
    ("daisy with zarr", 2): 1,
    ("one worker", 2): 1,
}


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Compare, then measure."""
    rows, versions = [], {}
    for title, (codec, block, context) in KINDS.items():
        with volumes(codec, block) as folder, ExitStack() as stack:
            common = {"folder": folder, "block": block, "context": context, "kind": codec}
            sides = {
                key: stack.enter_context(Side(library, program, **common, **options))
                for key, (library, program, options) in SIDES.items()
            }
            for side in sides.values():
                side.call("run")
            compare(folder, len(sides))
            found = turns(sides, rounds)
            versions |= {side.library: side.versions for side in sides.values()}
        for (name, workers), goal in GOALS.items():
            ours = found["voxflow", workers]
            theirs = found["voxflow", 1] if name == "one worker" else found[name, workers]
            aim = goal[codec] if isinstance(goal, dict) else goal
            some = f"{title}, {workers} worker{'s' * (workers > 1)}"
            rows.append(row(some, name, beside(ours, theirs), goal=aim))
    return rows, versions


SIDES: dict[tuple[str, int], tuple[str, str, dict[str, Any]]] = {
    ("voxflow", 1): ("voxflow", "scan", {"workers": 1}),
    ("voxflow", 2): ("voxflow", "scan", {"workers": 2}),
    ("loop over the stores", 1): ("voxflow", "scan_floor", {"how": "stores"}),
    ("loop over tensorstore", 1): ("voxflow", "scan_floor", {"how": "tensorstore"}),
    ("gunpowder", 1): ("gunpowder", "scan", {"workers": 1}),
    ("gunpowder", 2): ("gunpowder", "scan", {"workers": 2}),
    ("daisy with zarr", 1): ("voxflow", "scan_floor", {"how": "zarr", "workers": 1}),
    ("daisy with zarr", 2): ("voxflow", "scan_floor", {"how": "zarr", "workers": 2}),
}


@contextmanager
def volumes(codec: str, block: tuple[int, ...]) -> Iterator[str]:
    """A folder in memory with the volume, and an empty one of the same kind."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else FOLDER) as folder:
        with h5py.File(volume()) as file:
            half = file["volumes/raw"][:]
        raw = np.concatenate([half, half[::-1]])
        for store, name, data in (("raw.zarr", "raw", raw), ("empty.zarr", "out", None)):
            group = zarr.open_group(Path(folder, store), mode="w", zarr_format=2)
            array = group.create_array(
                name, shape=SHAPE, chunks=block, dtype="u1", compressors=CODECS[codec]
            )
            array.attrs.update({"offset": [0, 0, 0], "resolution": [1, 1, 1]})
            if data is not None:
                array[:] = data
        yield folder


def compare(folder: str, count: int) -> None:
    """All sides wrote the volume as it is."""
    written = [
        path for path in Path(folder).glob("*.zarr") if path.name[:4] not in ("raw.", "empt")
    ]
    if len(written) != count:
        raise RuntimeError(f"{count} sides wrote only {sorted(p.name for p in written)}")
    raw = zarr.open_array(Path(folder, "raw.zarr/raw"), mode="r")[:]
    for path in written:
        if not np.array_equal(zarr.open_array(path / "out", mode="r")[:], raw):
            raise RuntimeError(f"{path.name} is not what was read")
