"""Which objects were found: overlaps of objects, matches at thresholds, panoptic quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from voxflow.evaluation.contingency import Contingency, parse_ids
from voxflow.evaluation.partition import sizes_of

__all__ = ["Matches", "Overlaps", "Panoptic", "average_precision", "matches", "panoptic_quality"]

THRESHOLDS = tuple(number / 100 for number in range(50, 100, 5))
"""0.5, 0.55 ... 0.95."""


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Objects of two segmentations, and the intersection over union of each pair that overlaps.

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> overlaps = Overlaps.of(contingency(np.array([1, 1, 1, 0]), np.array([8, 8, 9, 9])))
    >>> overlaps.truth, overlaps.found, overlaps.iou
    (array([1], dtype=uint64), array([8, 9], dtype=uint64), array([0.66666667, 0.25      ]))
    """

    truth: NDArray[np.uint64]
    """Ids of the objects of the truth, sorted."""
    found: NDArray[np.uint64]
    """Ids of the objects of the segmentation, sorted."""
    rows: NDArray[np.intp]
    """For each pair, which object of `truth` it is of."""
    columns: NDArray[np.intp]
    """For each pair, which object of `found` it is of."""
    iou: NDArray[np.float64]
    """For each pair, voxels of both over voxels of either."""

    @classmethod
    def of(cls, table: Contingency, background: Sequence[int] = (0,)) -> Overlaps:
        """The overlaps of a table.

        Parameters
        ----------
        table
            Of all voxels that count.
        background
            Ids that are no objects, in both segmentations. An object's voxels over the other's
            background count as its own.
        """
        free = parse_ids(background)
        truth_size, found_size = (sizes_of(ids, table.voxels) for ids in (table.truth, table.found))
        iou = table.voxels / (truth_size + found_size - table.voxels)
        truth = np.setdiff1d(table.truth, free)
        found = np.setdiff1d(table.found, free)
        pairs = ~(np.isin(table.truth, free) | np.isin(table.found, free))
        rows = np.searchsorted(truth, table.truth[pairs])
        columns = np.searchsorted(found, table.found[pairs])
        return cls(truth, found, rows, columns, iou[pairs])

    def best(self) -> NDArray[np.float64]:
        """For each object of the truth, its largest intersection over union with any; 0: none."""
        best = np.zeros(len(self.truth))
        np.maximum.at(best, self.rows, self.iou)
        return best


class Matches(NamedTuple):
    """Objects that were found, at one threshold of the intersection over union."""

    threshold: float
    true_positives: int
    """Pairs of objects that overlap so much, each object in one pair at most."""
    false_positives: int
    """Objects of the segmentation in no pair."""
    false_negatives: int
    """Objects of the truth in no pair."""

    @property
    def precision(self) -> float:
        """Of the objects of the segmentation: how many are in the truth. Without any, 1."""
        found = self.true_positives + self.false_positives
        return self.true_positives / found if found else 1.0

    @property
    def recall(self) -> float:
        """Of the objects of the truth: how many were found. Without any, 1."""
        truth = self.true_positives + self.false_negatives
        return self.true_positives / truth if truth else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; not a number where neither has an object."""
        return _ratio(2 * self.true_positives, self.false_positives + self.false_negatives)

    @property
    def average_precision(self) -> float:
        """``TP / (TP + FP + FN)``; not a number where neither has an object."""
        return _ratio(self.true_positives, self.false_positives + self.false_negatives)


def _ratio(right: int, wrong: int) -> float:
    return right / (right + wrong) if right + wrong else math.nan


def matches(overlaps: Overlaps, threshold: float = 0.5) -> Matches:
    """Match objects one to one where their intersection over union reaches a threshold.

    As many pairs are made as can be, so the threshold may be below 0.5, where an object may overlap
    several others enough.

    Parameters
    ----------
    overlaps
        Of two segmentations.
    threshold
        More than 0, up to 1.

    Raises
    ------
    ValueError
        If the threshold is another.

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> overlaps = Overlaps.of(contingency(np.array([1, 1, 1, 2]), np.array([8, 8, 9, 9])))
    >>> matches(overlaps, 0.5)
    Matches(threshold=0.5, true_positives=2, false_positives=0, false_negatives=0)
    >>> matches(overlaps, 0.6).f1
    0.5
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold of the overlap is above 0 and up to 1, got {threshold}")
    enough = overlaps.iou >= threshold
    shape = len(overlaps.truth), len(overlaps.found)
    found = 0
    if enough.any():
        places = overlaps.rows[enough], overlaps.columns[enough]
        graph = csr_array((np.ones(len(places[0]), np.int8), places), shape)
        found = int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())
    return Matches(threshold, found, shape[1] - found, shape[0] - found)


def average_precision(overlaps: Overlaps, thresholds: Sequence[float] = THRESHOLDS) -> float:
    """The mean over thresholds of ``TP / (TP + FP + FN)``.

    As in the Data Science Bowl of 2018: objects have no confidence here, so that this is no area
    under a curve.

    References
    ----------
    Caicedo et al., Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl
    (2019).
    """
    return float(np.mean([matches(overlaps, step).average_precision for step in thresholds]))


class Panoptic(NamedTuple):
    """How well objects were found, and how well those that were found are drawn."""

    quality: float
    """The product of both."""
    segmentation: float
    """The mean intersection over union of matched objects; 0 without any."""
    recognition: float
    """The F1 of the objects."""


def panoptic_quality(overlaps: Overlaps) -> Panoptic:
    """The panoptic quality, of objects of one class.

    Objects match where their intersection over union is more than 0.5, which no object does with
    two others.

    Returns
    -------
    Panoptic
        Not a number where neither segmentation has an object.

    References
    ----------
    Kirillov et al., Panoptic segmentation (2019), equation 1.

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> overlaps = Overlaps.of(contingency(np.array([1, 1, 1, 2]), np.array([8, 8, 0, 9])))
    >>> panoptic_quality(overlaps)
    Panoptic(quality=0.8333333333333333, segmentation=0.8333333333333333, recognition=1.0)
    """
    matched = overlaps.iou[overlaps.iou > 0.5]
    count = len(matched)
    recognition = _ratio(2 * count, len(overlaps.truth) + len(overlaps.found) - 2 * count)
    segmentation = float(matched.mean()) if count else 0.0
    return Panoptic(segmentation * recognition, segmentation, recognition)
