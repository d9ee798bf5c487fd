"""Round spots at random places of a region."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.pipeline.geometry import Coordinate

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Blob:
    """A spot: its centre in parts of the region, its diameter in the shortest voxel edges."""

    at: tuple[float, ...]
    diameter: float
    strength: float = 1.0


def draw_blobs(
    rng: np.random.Generator,
    dims: int,
    count: tuple[int, int],
    diameter: tuple[float, float],
    strength: tuple[float, float] = (1.0, 1.0),
) -> tuple[Blob, ...]:
    """So many blobs, uniform in all of it; the ends of the ranges belong to them."""
    return tuple(
        Blob(tuple(rng.random(dims).tolist()), rng.uniform(*diameter), rng.uniform(*strength))
        for _ in range(int(rng.integers(count[0], count[1] + 1)))
    )


def distances(
    blob: Blob, shape: tuple[int, ...], voxel_size: Coordinate, reach: float
) -> tuple[Any, Floats]:
    """Where a blob lies, and how far from its centre voxels are there: 1 at its rim.

    Blobs are round in world units. Farther than `reach` nothing is told.
    """
    edges = [float(v) / float(min(voxel_size)) for v in voxel_size]
    where, parts = [], []
    for n, at, edge in zip(shape, blob.at, edges, strict=True):
        centre, radius = at * n - 0.5, blob.diameter / 2 / edge
        low = max(0, math.floor(centre - reach * radius))
        high = min(n, math.ceil(centre + reach * radius) + 1)
        where.append(slice(low, high))
        parts.append(((np.arange(low, high) - centre) / radius) ** 2)
    total: Any = 0.0
    for axis, part in enumerate(parts):
        total = total + part.reshape([-1 if a == axis else 1 for a in range(len(parts))])
    return (..., *where), np.sqrt(total)


def check_ranges(**ranges: tuple[float, float]) -> None:
    """Raise if a range does not go from low to high; counts and sizes are not negative."""
    for name, (low, high) in ranges.items():
        if not low <= high or (name != "strength" and low < 0):
            raise ValueError(f"{name} goes from low to high, and is not negative: {low}, {high}")
    if "diameter" in ranges and not ranges["diameter"][0] > 0:
        raise ValueError(f"the diameter has to be larger than 0, got {ranges['diameter']}")
