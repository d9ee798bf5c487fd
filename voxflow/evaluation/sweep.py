"""Which threshold makes the best segmentation of a map of scores or of affinities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from tqdm import tqdm

from voxflow.evaluation.aligned import Aligned, align, placed, single_channel
from voxflow.evaluation.contingency import check_labels, contingency
from voxflow.evaluation.evaluate import Background, scores_of
from voxflow.evaluation.scores import neighborhood_of
from voxflow.ops.components import connected_components
from voxflow.pipeline.compiled import kernel
from voxflow.pipeline.geometry import Coordinate, Roi

__all__ = ["Sweep", "affinity_components", "sweep"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Scores of segmentations at several thresholds."""

    thresholds: list[float]
    scores: list[dict[str, float]]
    """Those of `scores_of` at each threshold."""
    best: int
    """The number of the threshold with the least variation of information."""
    region: Roi
    voxel_size: Coordinate
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All of it as numbers, lists and texts; None is not a number."""
        rows = [
            {name: value if math.isfinite(value) else None for name, value in row.items()}
            for row in self.scores
        ]
        return {
            "sweep": [
                {"threshold": threshold, **row}
                for threshold, row in zip(self.thresholds, rows, strict=True)
            ],
            "best": self.thresholds[self.best],
            "notes": list(self.notes),
        }


def sweep(
    truth: Any,
    scores: Any,
    thresholds: Sequence[float],
    *,
    mask: Any = None,
    ignore: Sequence[int] = (),
    background: Background = "ignore",
    neighborhood: Sequence[Sequence[int]] | None = None,
    region: Any = None,
    progress: bool = False,
) -> Sweep:
    """Segment at several thresholds, and score each segmentation.

    A map of one channel is segmented into the connected components of the voxels whose score is at
    least the threshold. Affinities join the voxels of each pair whose affinity is: only those of
    direct neighbours are used, voxels without any are background.

    Connected components need the whole region at once: it is read into memory.

    Parameters
    ----------
    truth, mask, ignore, background, region, progress
        As in `evaluate`.
    scores, neighborhood
        As in `evaluate_scores`.
    thresholds
        Scores between 0 and 1.

    Raises
    ------
    MemoryError
        If the region does not fit into memory.
    ValueError
        For the reasons of `evaluate`, or if no affinity is one of direct neighbours.

    Examples
    --------
    >>> truth = np.array([[1, 1, 1, 2, 2, 2]])
    >>> found = sweep(truth, np.array([[0.9, 0.9, 0.4, 0.6, 0.9, 0.9]]), [0.2, 0.5])
    >>> [round(row["voi_merge"], 2) for row in found.scores], found.best
    ([1.0, 0.0], 1)
    """
    first = placed(truth, "truth")
    check_labels(first.dataset.dtype, f"{first.what} ({first.dataset.uri})")
    dims = len(first.shape)
    second = placed(scores, "scores", dims=dims)
    offsets = neighborhood_of(second, neighborhood)
    if offsets is None and second.channels != 1:
        raise ValueError(
            f"{second.name} has {second.channels} channels, and does not say that they are "
            "affinities (attribute 'affinity_neighborhood'): give the neighborhood, or "
            "a map of one channel"
        )
    parts = [first, second] + ([] if mask is None else [placed(mask, "mask", dims=dims)])
    together = align(*parts, region=region)
    _check_memory(together)
    whole = Roi((0,) * dims, together.shape)
    labels, values, *known = (p.read(together.within(p, whole)) for p in together.parts)
    labels, values = single_channel(labels, dims), values.reshape(-1, *values.shape[-dims:])
    valid = single_channel(known[0], dims) if known else None
    cut = _segmenter(values, offsets)
    rows = []
    for threshold in tqdm(thresholds, "sweep", disable=not progress, leave=False):
        table = contingency(labels, cut(threshold), mask=valid).without(ignore)
        rows.append(scores_of(table, background))
    order = [row["voi"] if math.isfinite(row["voi"]) else math.inf for row in rows]
    where = together.region, together.voxel_size, together.notes
    return Sweep(list(thresholds), rows, int(np.argmin(order)), *where)


def _segmenter(
    values: NDArray[Any], offsets: tuple[tuple[int, ...], ...] | None
) -> Callable[[float], NDArray[Any]]:
    scale = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    if offsets is None:
        return lambda level: connected_components((values[0] >= level * scale).astype(np.int64))[0]
    near = [channel for channel, offset in enumerate(offsets) if sum(map(abs, offset)) == 1]
    if not near:
        raise ValueError(
            f"no affinity is one of direct neighbours, the neighborhood is {offsets}: these cannot "
            "be cut at a threshold; use voxflow.segmentation"
        )
    steps = [offsets[channel] for channel in near]
    return lambda level: affinity_components(values[near] >= level * scale, steps)


def affinity_components(
    joined: NDArray[np.bool_], offsets: Sequence[Sequence[int]]
) -> NDArray[np.uint64]:
    """Components of voxels that affinities join.

    Parameters
    ----------
    joined
        For each offset, whether a voxel is joined with the one there, shape (offsets, \\*spatial).
        Pairs that reach out of the array are none.
    offsets
        In voxels.

    Returns
    -------
    numpy.ndarray
        Ids from 1 on in the order of memory; 0: voxels that are joined with none.

    Examples
    --------
    >>> affinity_components(np.array([[False, True, False, False, True]]), [[-1]])
    array([1, 1, 0, 2, 2], dtype=uint64)
    """
    shape = joined.shape[1:]
    parent = np.arange(math.prod(shape), dtype=np.int64)
    for channel, offset in zip(joined, offsets, strict=True):
        sides = list(zip(offset, shape, strict=True))
        here = tuple(slice(max(0, -step), min(n, n - step)) for step, n in sides)
        way = sum(step * math.prod(shape[axis + 1 :]) for axis, step in enumerate(offset))
        inside = np.zeros(shape, bool)
        inside[here] = channel[here]
        _join(np.flatnonzero(inside), way, parent)
    ids = np.zeros(len(parent), np.uint64)
    _number(parent, ids)
    return ids.reshape(shape)


@kernel
def _join(places: Any, way: int, parent: Any) -> None:
    for i in range(len(places)):
        a, b = _root(parent, places[i]), _root(parent, places[i] + way)
        parent[max(a, b)] = min(a, b)  # the root is the first voxel in memory


@kernel
def _root(parent: Any, place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


@kernel
def _number(parent: Any, ids: Any) -> None:
    """Number roots that have others below them, and give their ids to those."""
    alone = np.ones(len(parent), np.bool_)
    for place in range(len(parent)):
        parent[place] = parent[parent[place]]
        if parent[place] != place:
            alone[parent[place]] = False
    count = np.uint64(0)
    for place in range(len(parent)):
        if parent[place] != place:
            ids[place] = ids[parent[place]]
        elif not alone[place]:
            count += np.uint64(1)
            ids[place] = count


def _check_memory(together: Aligned) -> None:
    voxels = math.prod(together.shape)
    needed = voxels * (sum(p.dataset.dtype.itemsize * p.channels for p in together.parts) + 24)
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"a sweep reads the whole region {together.region}: it needs about "
            f"{needed / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free. Choose a "
            "smaller region, or segment block by block (voxflow.segmentation) and evaluate that"
        )
