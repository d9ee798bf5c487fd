"""Scores of a segmentation against the truth, wherever both are kept, block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from voxflow.evaluation.aligned import Aligned, Placed, align, as_voxels, placed, single_channel
from voxflow.evaluation.contingency import Contingency, PairCounter, check_labels
from voxflow.evaluation.matching import Overlaps, average_precision, matches, panoptic_quality
from voxflow.evaluation.objects import (
    ObjectTable,
    Trouble,
    object_table,
    worst_merges,
    worst_splits,
)
from voxflow.evaluation.partition import adapted_rand, rand_index, variation_of_information
from voxflow.pipeline.geometry import Coordinate, Roi

__all__ = ["Background", "Evaluation", "evaluate", "scores_of"]

Background = Literal["ignore", "object", "singletons"]
"""What voxels of id 0 are to the scores of partitions; see `evaluate`."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a segmentation is worth."""

    scores: dict[str, float]
    """By name; see `scores_of`."""
    splits: list[Trouble]
    """The objects of the truth that were split worst."""
    merges: list[Trouble]
    """The objects of the segmentation that merge the most."""
    objects: ObjectTable
    """All objects of the truth."""
    table: Contingency
    """What all of it is made of: the pairs of ids of all voxels that count."""
    region: Roi
    """What was compared, in world units."""
    voxel_size: Coordinate
    notes: tuple[str, ...]
    """What was left out, and what had to be assumed."""

    def to_json(self) -> dict[str, Any]:
        """All but the table and the objects, as numbers, lists and texts; None is not a number."""
        return {
            "scores": {name: _finite(value) for name, value in self.scores.items()},
            "region": {
                "offset": [float(x) for x in self.region.offset],
                "shape": [float(x) for x in self.region.shape],
                "voxel_size": [float(x) for x in self.voxel_size],
            },
            "notes": list(self.notes),
            "splits": [_plain(entry) for entry in self.splits],
            "merges": [_plain(entry) for entry in self.merges],
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(entry: Trouble) -> dict[str, Any]:
    pieces = [
        {"id": piece.id, "voxels": piece.voxels, "position": [float(x) for x in piece.position]}
        for piece in entry.pieces
    ]
    return {"id": entry.id, "voxels": entry.voxels, "bits": entry.bits, "count": entry.count,
            "pieces": pieces}  # fmt: skip


def evaluate(
    truth: Any,
    segmentation: Any,
    *,
    mask: Any = None,
    ignore: Sequence[int] = (),
    background: Background = "ignore",
    region: Any = None,
    thresholds: Sequence[float] = (0.5, 0.75),
    worst: int = 10,
    progress: bool = False,
) -> Evaluation:
    """Score a segmentation against the truth.

    Both are read block by block, in one pass; memory grows with the number of objects, not of
    voxels. What is compared is the region of the world that both cover.

    Parameters
    ----------
    truth, segmentation
        Labels: a file of any format that `voxflow.stores.open_dataset` takes, a pair of file and
        dataset, a dataset, a `voxflow.Array`, or an array-like. Ids are integers, 0 to 2**64 - 1;
        0 is background.
    mask
        Likewise; voxels where it is 0 do not count, nor do voxels outside of it.
    ignore
        Ids of the truth whose voxels say nothing: they count in no score.
    background
        What voxels of id 0 are to the scores of partitions (variation of information, Rand).
        "ignore": those of the truth do not count, those of the segmentation are one object.
        "object": an object like any other, in both. "singletons": as "ignore", but each of the
        segmentation is an object of its own, as in the CREMI challenge. To the scores of objects
        (F1, panoptic quality) id 0 is no object.
    region
        Compare no more than this, in world units.
    thresholds
        Of the intersection over union of objects that match.
    worst
        How many splits and merges are listed.
    progress
        Whether to show a bar.

    Raises
    ------
    TypeError
        If ids are not integers.
    ValueError
        If an id is negative, if voxel sizes differ, if the voxels do not lie on one grid, or if no
        region is common to both.

    Examples
    --------
    >>> import numpy as np
    >>> truth, found = np.array([[1, 1, 2, 2]]), np.array([[5, 5, 5, 5]])
    >>> found = evaluate(truth, found)
    >>> found.scores["voi_merge"], found.scores["voi_split"]
    (1.0, 0.0)
    >>> found.merges[0].id, found.merges[0].count
    (5, 2)
    """
    parts = labelled(truth, segmentation, mask)
    together = align(*parts, region=region)
    whole = count(together, progress=progress).without(ignore)
    table = for_partition(whole, background)
    size, offset = together.voxel_size, together.region.offset
    return Evaluation(
        scores_of(whole, background, thresholds),
        worst_splits(table, size, offset, worst),
        worst_merges(table, size, offset, worst),
        object_table(whole),
        whole,
        together.region,
        size,
        together.notes,
    )


def labelled(truth: Any, segmentation: Any, mask: Any = None) -> list[Placed]:
    """The datasets, of which those of labels have to hold ids, one a voxel."""
    parts = [placed(truth, "truth")]
    dims = len(parts[0].shape)
    parts.append(placed(segmentation, "segmentation", dims=dims))
    for part in parts:
        check_labels(part.dataset.dtype, f"{part.what} ({part.dataset.uri})")
    if mask is not None:
        parts.append(placed(mask, "mask", dims=dims))
    for part in parts:
        if part.channels != 1 and part.geometry is not None:
            raise ValueError(
                f"{part.name} has the shape {part.dataset.shape} and {part.channels} values a "
                "voxel, but labels are one: choose a channel, or segment it first"
            )
        if len(part.shape) != dims:
            raise ValueError(
                f"{parts[0].name} has {dims} spatial axes, {part.name} {len(part.shape)}"
            )
    return parts


def count(together: Aligned, progress: bool = False) -> Contingency:
    """Count pairs of ids of the first two parts, where the third, if there is one, is not 0."""
    counter, dims = PairCounter(together.shape), together.region.dims
    for tile, arrays in together.blocks(progress):
        truth, found, *mask = (single_channel(array, dims) for array in arrays)
        counter.add(truth, found, mask=mask[0] if mask else None, offset=as_voxels(tile))
    return counter.table()


def for_partition(table: Contingency, background: Background) -> Contingency:
    """The voxels that count for scores of partitions."""
    if background == "object":
        return table
    if background == "ignore":
        return table.without([0])
    if background == "singletons":
        return table.without([0]).scatter(0)
    raise ValueError(
        f"background is 'ignore', 'object' or 'singletons', got {background!r}; ids of the truth "
        "that do not count at all are ignore="
    )


def scores_of(
    table: Contingency,
    background: Background = "ignore",
    thresholds: Sequence[float] = (0.5, 0.75),
) -> dict[str, float]:
    """All scores of a table, by name.

    ``voi_split``, ``voi_merge``, ``voi`` (bits), ``arand``, ``cremi_score``: 0 is perfect.
    ``rand_precision``, ``rand_recall``, ``rand_index``, ``precision@0.5``, ``recall@0.5``,
    ``f1@0.5``, ``average_precision@0.5`` (and so on, for each threshold), ``average_precision``
    (the mean over 0.5 to 0.95),
    ``panoptic_quality``, ``segmentation_quality``, ``mean_iou`` (of each object of the truth with
    the best one): 1 is perfect. ``objects_truth``, ``objects_found``, ``voxels`` (for partitions)
    are counts. Not a number: there is nothing to be compared.

    Parameters
    ----------
    table
        Of all voxels that count.
    background, thresholds
        As in `evaluate`.
    """
    partition, overlaps = for_partition(table, background), Overlaps.of(table)
    information, pairs = variation_of_information(partition), adapted_rand(partition)
    panoptic, best = panoptic_quality(overlaps), overlaps.best()
    scores = {
        "voi_split": information.split,
        "voi_merge": information.merge,
        "voi": information.total,
        "arand": pairs.error,
        "rand_precision": pairs.precision,
        "rand_recall": pairs.recall,
        "rand_index": rand_index(partition),
        "cremi_score": math.sqrt(information.total * pairs.error),
    }
    for threshold in thresholds:
        found = matches(overlaps, threshold)
        scores[f"precision@{threshold:g}"] = found.precision
        scores[f"recall@{threshold:g}"] = found.recall
        scores[f"f1@{threshold:g}"] = found.f1
        scores[f"average_precision@{threshold:g}"] = found.average_precision
    return scores | {
        "average_precision": average_precision(overlaps),
        "panoptic_quality": panoptic.quality,
        "segmentation_quality": panoptic.segmentation,
        "mean_iou": float(best.mean()) if len(best) else math.nan,
        "objects_truth": len(overlaps.truth),
        "objects_found": len(overlaps.found),
        "voxels": partition.total,
    }
