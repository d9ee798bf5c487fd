"""Batches of cells: a training feed beside torch's loader with albumentations."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.harness.measure import Row, row, take_turns
from benchmarks.harness.side import Side

TITLE = "batches of 8 images of cells, 256 x 256, with targets (torch's loader, albumentations)"
NOTE = (
    "mirrors, and rotation, scale, shear and shift with p=0.5 each, for 4 of 5 images; classes and "
    "mask. albumentations resamples once for each of these, from images in memory"
)


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """In one process, and with workers."""
    rows: list[Row] = []
    versions: dict[str, dict[str, str]] = {}
    for workers in (0, 1, 2):
        with ExitStack() as stack:
            ours = stack.enter_context(Side("voxflow", "cells", workers=workers))
            other = stack.enter_context(
                Side("albumentations", "cells", workers=workers, home="albumentations-torch")
            )
            # An epoch: then all images are in memory on our side as well.
            shapes = [side.call("run", count=25)["value"] for side in (ours, other)]
            if shapes[0] != shapes[1]:
                raise RuntimeError(f"the two sides make other batches: {shapes}")
            found = take_turns(ours, {"albumentations": other}, rounds, counts=(25, 25))
            versions |= {side.library: side.versions for side in (ours, other)}
        what = f"{workers} workers"
        rows.append(row(what, "albumentations", found["albumentations"], goal=1, note=NOTE))
    return rows, versions
