"""Tiles that are weighted and summed up, beside what memory allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import voxflow
from benchmarks.harness.measure import Row
from benchmarks.programs.serve import versions
from voxflow.ops.blending import add_weighted, tile_weights

TITLE = "blending: one tile of three channels added to a sum, one thread"
SIZE = 128


def run(rounds: int) -> tuple[list[Row], dict[str, dict[str, str]]]:
    """Beside plain addition without weights, and weights made and used by numpy."""
    shape = (3, SIZE, SIZE, SIZE)
    total, values = np.zeros(shape), np.random.default_rng(0).random(shape, np.float32)
    begins = (0, SIZE * 3 // 4, SIZE * 6 // 4)
    weight = tile_weights(begins, SIZE, 1, begins[1], begins[1] + SIZE).astype(np.float64)
    weights = [weight] * 3

    def by_numpy() -> None:
        total[...] += values * (weight[:, None, None] * weight[:, None] * weight)

    nbytes = 2 * total.nbytes + values.nbytes
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: add_weighted(total, values, weights),
        "addition without weights": lambda: np.add(total, values, out=total),
        "weights by numpy": by_numpy,
    }
    times = {name: best(way, rounds) for name, way in ways.items()}
    ours = times.pop("ours")
    rate = {"GB/s": nbytes / ours / 1e9}
    rows = [
        Row(
            f"{SIZE}^3 voxels", name, ours, took, took / ours,
            note=f"{rate['GB/s']:.1f} GB/s, read and written", more=rate,
        )
        for name, took in times.items()
    ]  # fmt: skip
    return rows, {"voxflow": versions(voxflow)}


def best(way: Callable[[], Any], rounds: int) -> float:
    """Seconds of the fastest round."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        way()
        times.append(time.perf_counter() - start)
    return min(times[1:])
