"""Reports object by object: how well each was found, and where the worst splits and merges are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.evaluation.contingency import Contingency
from voxflow.evaluation.partition import bits, sizes_of
from voxflow.pipeline.geometry import Coordinate

__all__ = ["ObjectTable", "Piece", "Trouble", "object_table", "worst_merges", "worst_splits"]


@dataclass(frozen=True)
class Piece:
    """A part of an object: what it is in the other segmentation, and where."""

    id: int
    """Of the other segmentation."""
    voxels: int
    position: tuple[Any, ...]
    """A voxel of it: its centre in world units."""


@dataclass(frozen=True)
class Trouble:
    """An object that was split, or several that were merged."""

    id: int
    """Of the truth for a split, of the segmentation for a merge."""
    voxels: int
    bits: float
    """What it adds to the split or to the merge part of the variation of information."""
    pieces: tuple[Piece, ...] = field(repr=False)
    """The largest parts, largest first."""
    count: int
    """How many parts there are."""


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The objects of the truth, a row each, in the order of their ids."""

    ids: NDArray[np.uint64]
    voxels: NDArray[np.int64]
    pieces: NDArray[np.int64]
    """In how many parts it is; background counts as one."""
    best: NDArray[np.uint64]
    """The object of the segmentation that it overlaps best; 0 if none."""
    iou: NDArray[np.float64]
    """The intersection over union with that one."""
    split: NDArray[np.float64]
    """What it adds to the split part of the variation of information, in bits."""
    positions: NDArray[np.int64]
    """A voxel of each, shape (objects, axes)."""


def object_table(table: Contingency, background: int = 0) -> ObjectTable:
    """How well each object of the truth was found.

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> rows = object_table(contingency(np.array([1, 1, 1, 2]), np.array([8, 8, 9, 9])))
    >>> rows.ids.tolist(), rows.pieces.tolist(), rows.best.tolist(), rows.iou.round(2).tolist()
    ([1, 2], [2, 1], [8, 9], [0.67, 0.5])
    """
    union = sizes_of(table.truth, table.voxels) + sizes_of(table.found, table.voxels)
    iou = np.where(table.found == background, 0, table.voxels / np.maximum(union - table.voxels, 1))
    objects = np.flatnonzero(table.truth != background)
    order = objects[np.lexsort((-iou[objects], table.truth[objects]))]
    ids, first, number = np.unique(table.truth[order], return_index=True, return_inverse=True)
    largest = order[np.lexsort((-table.runs[order], table.truth[order]))][first]
    best, count = order[first], len(ids)

    def summed(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(number, weights=values[order], minlength=count).astype(np.float64)

    return ObjectTable(
        ids,
        summed(table.voxels).astype(np.int64),
        np.bincount(number, minlength=count).astype(np.int64),
        np.where(iou[best] > 0, table.found[best], 0).astype(np.uint64),
        iou[best],
        summed(bits(table)[0]),
        table.positions()[largest],
    )


def worst_splits(
    table: Contingency, voxel_size: Any = 1, offset: Any = 0, count: int = 10, pieces: int = 4
) -> list[Trouble]:
    """The objects of the truth that add most to the split part of the variation of information.

    Parameters
    ----------
    table
        Of all voxels that count.
    voxel_size, offset
        Of the volume, in world units.
    count
        How many objects are given, at most.
    pieces
        How many parts of each are given, at most.

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> table = contingency(np.array([5, 5, 5, 5, 6]), np.array([1, 1, 1, 2, 2]))
    >>> (split,) = worst_splits(table, voxel_size=(40,), offset=(100,))
    >>> split.id, split.voxels, round(split.bits, 3), split.count
    (5, 4, 0.649, 2)
    >>> split.pieces
    (Piece(id=1, voxels=3, position=(160,)), Piece(id=2, voxels=1, position=(240,)))
    """
    split = bits(table)[0]
    return _worst(table, table.truth, table.found, split, voxel_size, offset, count, pieces)


def worst_merges(
    table: Contingency, voxel_size: Any = 1, offset: Any = 0, count: int = 10, pieces: int = 4
) -> list[Trouble]:
    """The objects found that add most to the merge part of the variation of information.

    Takes what `worst_splits` does.
    """
    merge = bits(table)[1]
    return _worst(table, table.found, table.truth, merge, voxel_size, offset, count, pieces)


def _worst(
    table: Contingency,
    own: NDArray[np.uint64],
    other: NDArray[np.uint64],
    cost: NDArray[np.float64],
    voxel_size: Any,
    offset: Any,
    count: int,
    pieces: int,
) -> list[Trouble]:
    ids, number = np.unique(own, return_inverse=True)
    if not len(ids):
        return []
    costs, sizes = np.bincount(number, cost), np.bincount(number, table.voxels)
    found = []
    for worst in np.lexsort((ids, -costs))[:count]:
        if costs[worst] <= 0:
            break
        parts = np.flatnonzero(number == worst)
        largest = parts[np.argsort(-table.voxels[parts], kind="stable")][:pieces]
        places = _world(table, largest, voxel_size, offset)
        shown = zip(other[largest], table.voxels[largest], places, strict=True)
        listed = tuple(Piece(int(i), int(n), place) for i, n, place in shown)
        size, total = int(sizes[worst]), len(parts)
        found.append(Trouble(int(ids[worst]), size, float(costs[worst]), listed, total))
    return found


def _world(
    table: Contingency, rows: NDArray[np.intp], voxel_size: Any, offset: Any
) -> list[tuple[Any, ...]]:
    """The centres of the voxels of some pairs, exactly."""
    places = np.stack(np.unravel_index(table.places[rows], table.shape), axis=1).tolist()
    size, begin = _each(voxel_size, table.shape), _each(offset, table.shape)
    return [(Coordinate(place) + 0.5) * size + begin for place in places]


def _each(value: Any, shape: tuple[int, ...]) -> Coordinate:
    return Coordinate(value if hasattr(value, "__iter__") else (value,) * len(shape))
