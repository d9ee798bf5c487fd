"""Augmentation by the device, beside the kernels of the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

import voxflow as gp
from benchmarks.gpu.clock import seconds
from benchmarks.harness.measure import Row
from benchmarks.harness.volumes import RESOLUTION, cells
from voxflow.ops.recipe import Recipe
from voxflow.torch import make_on

TITLE = "the same augmentation by the device (with the copy to it) and by one thread of the CPU"

#: Of a volume, and of what is cut out of it (voxels).
SIZES = {True: ((24, 160, 160), (6, 40, 40)), False: ((128, 700, 700), (84, 268, 268))}

IMAGES, LABELS = 1e-3, 1e-3  # how far apart the two may be: greatest difference, share of voxels


class Keep(gp.BatchFilter):
    """Keeps what is to be done, and does not do it."""

    def process(self, batch, request):
        self.recipes = {key: Recipe.of(array) for key, array in batch.arrays.items()}
        return gp.Batch()


def run(device: torch.device, rounds: int) -> list[Row]:
    """Raw (linear, values changed) and labels (nearest) of the CREMI tutorial."""
    whole, shape = SIZES[device.type != "cuda"]
    rows = []
    for name, recipe in recipes(whole, shape).items():
        apart = compare(name, recipe, device)
        ours = seconds(lambda r=recipe: make_on(r, device), device, rounds)
        theirs = seconds(recipe.make, torch.device("cpu"), max(3, rounds // 4))
        rate = {"voxels/s": math.prod(recipe.shape) / ours}
        note = ", ".join(f"{what} {value:.3g}" for what, value in apart.items())
        rows.append(
            Row(
                f"{name}, {'x'.join(map(str, recipe.shape))}", "the CPU, one thread",
                ours, theirs, theirs / ours, note=f"{name}: {note}", more=rate | apart,
            )
        )  # fmt: skip
    return rows


def recipes(whole: tuple[int, int, int], shape: tuple[int, int, int]) -> dict[str, Recipe]:
    """What the nodes of the tutorial leave to be done for one batch."""
    raw, labels = gp.ArrayKey("RAW"), gp.ArrayKey("LABELS")
    size, keep = gp.Coordinate(RESOLUTION), Keep()
    roi = gp.Roi((0, 0, 0), gp.Coordinate(whole) * size)
    sources = tuple(
        gp.ArraySource(key, gp.Array(data, gp.ArraySpec(roi, size, interpolatable=key == raw)))
        for key, data in zip((raw, labels), cells(whole), strict=True)
    )
    pipeline = (
        sources
        + gp.MergeProvider()
        + gp.Normalize(raw)
        + gp.RandomLocation()
        + gp.ElasticAugment(
            [4, 40, 40], [0, 2, 2], [0, math.pi / 2], prob_slip=0.05, prob_shift=0.05,
            max_misalign=10,
        )
        + gp.SimpleAugment(transpose_only=[1, 2])
        + gp.IntensityAugment(raw, 0.9, 1.1, -0.1, 0.1, z_section_wise=True)
        + keep
    )  # fmt: skip
    asked = gp.Roi((0, 0, 0), gp.Coordinate(shape) * size)
    with gp.build(pipeline, seed=1):
        pipeline.request_batch(gp.BatchRequest({raw: asked, labels: asked}))
    return {"raw": keep.recipes[raw], "labels": keep.recipes[labels]}


def compare(name: str, recipe: Recipe, device: torch.device) -> dict[str, Any]:
    """How far the two results are apart."""
    ours, theirs = make_on(recipe, device).cpu().numpy(), recipe.make()
    if name == "labels":
        apart, limit = {"share of labels that differ": float((ours != theirs).mean())}, LABELS
    else:
        apart, limit = {"greatest difference": float(np.abs(ours - theirs).max())}, IMAGES
    if max(apart.values()) > limit:
        raise RuntimeError(f"the device and the CPU do not do the same: {apart}")
    return apart
