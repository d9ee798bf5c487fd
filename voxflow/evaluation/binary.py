"""Maps of scores against two classes: one histogram, and from it all that thresholds can say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxflow.ops.pointers import unlocked
from voxflow.pipeline.compiled import kernel

__all__ = ["Confusion", "ScoreHistogram", "binary_nll", "confusion", "rescale_fudge"]

MEASURES = ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "tpr", "fpr")


class Confusion(NamedTuple):
    """Counts of voxels of two classes, and what they say.

    0 / 0 is 0; precision where nothing was called positive is 1.

    Examples
    --------
    >>> counts = Confusion(true_positives=2, true_negatives=3, false_positives=1, false_negatives=1)
    >>> round(counts.precision, 4), round(counts.balanced_accuracy, 4)
    (0.6667, 0.7083)
    """

    true_positives: int
    true_negatives: int
    false_positives: int
    false_negatives: int

    @property
    def tpr(self) -> float:
        """Of the positives: how many were called so."""
        return _share(self.true_positives, self.false_negatives)

    @property
    def fpr(self) -> float:
        """Of the negatives: how many were called positive."""
        return _share(self.false_positives, self.true_negatives)

    @property
    def precision(self) -> float:
        """Of what was called positive: how much is."""
        return _share(self.true_positives, self.false_positives, nothing=1.0)

    @property
    def recall(self) -> float:
        """The same as `tpr`."""
        return self.tpr

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the shares of positives and of negatives that were called right."""
        return (self.tpr + _share(self.true_negatives, self.false_positives)) / 2

    @property
    def accuracy(self) -> float:
        """Of all: how many were called right."""
        wrong = self.false_positives + self.false_negatives
        return _share(self.true_positives + self.true_negatives, wrong)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _share(2 * self.true_positives, self.false_positives + self.false_negatives)

    def measures(self) -> dict[str, float]:
        """All of them by name."""
        return {name: getattr(self, name) for name in MEASURES}


def _share(part: int, rest: int, nothing: float = 0.0) -> float:
    return part / (part + rest) if part + rest else nothing


def confusion(truth: ArrayLike, called: ArrayLike) -> Confusion:
    """Count how often what was called positive is.

    Parameters
    ----------
    truth
        Above 0: positive; 0: negative; below 0: does not count.
    called
        Of that shape; not 0: called positive.

    Examples
    --------
    >>> confusion([1, 1, 1, 0, 0, 0, 0, -1, -1], [1, 1, 0, 1, 0, 0, 0, 1, 0])
    Confusion(true_positives=2, true_negatives=3, false_positives=1, false_negatives=1)
    """
    histogram = ScoreHistogram([0.5])
    histogram.add(np.asarray(truth), (np.asarray(called) != 0).astype(np.float32))
    return histogram.at(0.5)


class ScoreHistogram:
    """How often each score is there for positives and for negatives, counted in one pass.

    Counts at the thresholds are exact, of any number of voxels, in blocks and in any order.

    Parameters
    ----------
    thresholds
        How many, evenly from 0 to 1; or a list of them, rising. A voxel is called positive where
        its score is at least the threshold.

    Raises
    ------
    ValueError
        If there are none, or they do not rise.

    Examples
    --------
    >>> histogram = ScoreHistogram()
    >>> histogram.add(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> histogram.roc_area(), histogram.best("accuracy")
    (0.75, 0.1019...)
    >>> histogram.at(0.5).recall
    0.5
    """

    def __init__(self, thresholds: int | Sequence[float] = 256) -> None:
        if isinstance(thresholds, int):
            thresholds = (np.arange(thresholds) / max(thresholds - 1, 1)).tolist()
        self.thresholds = np.asarray(thresholds, np.float64)
        if len(self.thresholds) == 0 or not (np.diff(self.thresholds) > 0).all():
            raise ValueError(f"thresholds are one or more and rise, got {thresholds}")
        self.counts = np.zeros((2, len(self.thresholds) + 1), np.int64)
        """Of negatives and of positives: scores below the first threshold, between the first and
        the second ... from the last on."""

    def add(
        self, truth: NDArray[Any], scores: NDArray[Any], *, mask: NDArray[Any] | None = None
    ) -> None:
        """Count the voxels of a block.

        Parameters
        ----------
        truth
            Integer or bool. Above 0: positive; 0: negative; below 0: does not count.
        scores
            Of that shape: floating point; or bool, uint8 or uint16, of which the largest value
            stands for 1.
        mask
            Of that shape; voxels where it is 0 do not count.

        Raises
        ------
        TypeError
            If a dtype is another.
        ValueError
            If shapes differ, or a score that counts is not a number.
        """
        if truth.dtype.kind not in "iub":
            raise TypeError(
                f"the truth is {truth.dtype}, but classes are integers: cast it, e.g. (truth > 0.5)"
            )
        arrays = [truth, scores] if mask is None else [truth, scores, mask]
        if len({array.shape for array in arrays}) > 1:
            raise ValueError(
                f"truth, scores (and mask) are of one shape, got {[a.shape for a in arrays]}"
            )
        counts = truth >= 0 if truth.dtype.kind == "i" else np.ones(truth.shape, bool)
        if mask is not None:
            counts &= mask != 0
        classes = np.where(counts, truth > 0, 2).astype(np.uint8).reshape(-1)
        values = unlocked(np.ascontiguousarray(_as_floats(scores)).reshape(-1))
        bad = _add(classes, values, self.thresholds, self.counts)
        if bad >= 0:
            index = tuple(map(int, np.unravel_index(bad, scores.shape))) if scores.ndim else ()
            raise ValueError(
                f"the score at {index} of the block is not a number: mend it (numpy.nan_to_num), "
                "or leave it out with a mask"
            )

    def merge(self, other: ScoreHistogram) -> None:
        """Add what was counted elsewhere, with the same thresholds."""
        if not np.array_equal(self.thresholds, other.thresholds):
            raise ValueError("histograms of other thresholds cannot be added")
        self.counts += other.counts

    @property
    def negatives(self) -> int:
        """How many negatives were counted."""
        return int(self.counts[0].sum())

    @property
    def positives(self) -> int:
        """How many positives were counted."""
        return int(self.counts[1].sum())

    def confusions(self) -> list[Confusion]:
        """The counts at each threshold."""
        above = self._above()[:, 1:-1].tolist()
        total = self.negatives, self.positives
        return [Confusion(p, total[0] - n, n, total[1] - p) for n, p in zip(*above, strict=True)]

    def nearest(self, threshold: float) -> int:
        """The number of the nearest threshold, of two the first."""
        return int(np.argmin(np.abs(self.thresholds - threshold)))

    def at(self, threshold: float) -> Confusion:
        """The counts at the nearest threshold."""
        return self.confusions()[self.nearest(threshold)]

    def best(self, measure: str = "accuracy") -> float:
        """The threshold with the largest value of a measure of `Confusion`, of several the first.

        Raises
        ------
        ValueError
            If there is no such measure.
        """
        if measure not in MEASURES:
            raise ValueError(f"there is no measure {measure!r}, there is: {', '.join(MEASURES)}")
        values = [getattr(counts, measure) for counts in self.confusions()]
        return float(self.thresholds[int(np.argmax(values))])

    def roc_area(self) -> float:
        """The area under the curve of true over false positives, by the trapezoid rule.

        It is the probability that a positive has a larger score than a negative, where scores
        between the same thresholds are equal, and those count half. Not a number without positives
        or without negatives.

        References
        ----------
        Fawcett, An introduction to ROC analysis (2006), algorithm 2.
        """
        if not (self.positives and self.negatives):
            return math.nan
        above = self._above() / [[self.negatives], [self.positives]]
        return float(-np.trapezoid(above[1], above[0]))

    def pr_area(self) -> float:
        """The average precision: precision at each threshold, weighted by the rise of recall.

        Points are not joined by lines, which would say too much. Not a number without positives.

        References
        ----------
        Davis and Goadrich, The relationship between precision-recall and ROC curves (2006).
        """
        if not self.positives:
            return math.nan
        negative, positive = self._above()
        called = np.maximum(negative + positive, 1)
        rise = -np.diff(positive / self.positives)
        return float((rise * (positive / called)[:-1]).sum())

    def _above(self) -> NDArray[np.int64]:
        """Negatives and positives that are called positive: all, at each threshold, none."""
        sums = self.counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        return np.concatenate([sums, np.zeros((2, 1), np.int64)], axis=1)


def _as_floats(scores: NDArray[Any]) -> NDArray[Any]:
    if scores.dtype.kind == "f":
        small = scores.dtype.itemsize <= 4
        return scores.astype(np.float32 if small else np.float64, copy=False)
    if scores.dtype.kind == "b":
        return scores.astype(np.float32)
    if scores.dtype.kind == "u" and scores.dtype.itemsize <= 2:
        return scores / np.float64(np.iinfo(scores.dtype).max)
    raise TypeError(
        f"scores are floating point, bool, uint8 or uint16, got {scores.dtype}. If these are ids "
        "of a segmentation, use evaluate (voxflow evaluate without --scores)"
    )


@kernel
def _add(classes: Any, scores: Any, thresholds: Any, counts: Any) -> int:
    """Count scores; gives -1, or the place of one that is not a number."""
    last = len(thresholds) - 1
    low = thresholds[0]
    scale = last / (thresholds[last] - low) if last > 0 else 0.0
    for i in range(len(classes)):
        kind = classes[i]
        if kind == 2:
            continue
        score = np.float64(scores[i])
        if score != score:
            return i
        # How many thresholds are not above the score: guessed as if they were even, then mended.
        guess = min(max((score - low) * scale, -1.0), np.float64(last))
        place = int(guess)
        while place >= 0 and thresholds[place] > score:
            place -= 1
        while place < last and thresholds[place + 1] <= score:
            place += 1
        counts[kind, place + 1] += 1
    return -1


def rescale_fudge(scores: ArrayLike, fudge: float = 0.15) -> NDArray[np.float64]:
    """Stretch scores between `fudge` and 1 - `fudge` to 0 to 1; those outside become 0 or 1.

    Examples
    --------
    >>> rescale_fudge([0, 0.15, 0.5, 0.85, 1]).tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0]
    """
    clipped = np.clip(np.asarray(scores, np.float64), fudge, 1 - fudge)
    return (clipped - fudge) / (1 - 2 * fudge)


def binary_nll(
    truth: ArrayLike, scores: ArrayLike, *, balanced: bool = False, mask: ArrayLike | None = None
) -> float:
    """The mean negative logarithm of what was said of the class that is there (binary entropy).

    Parameters
    ----------
    truth
        1: positive, 0: negative, between them: a share; below 0: does not count.
    scores
        Probabilities of a positive, of that shape. They are kept 1e-12 away from 0 and 1.
    balanced
        Whether both classes have half of the weight, however many voxels there are of each.
    mask
        Of that shape; voxels where it is 0 do not count.

    Returns
    -------
    float
        Not a number without voxels, and balanced also without one of the classes.

    Examples
    --------
    >>> round(binary_nll([1, 0, 0, -1], [0.5, 0.5, 0.9, 0.1]), 4)
    1.2296
    """
    labels = np.asarray(truth, np.float64)
    known = labels >= 0
    if mask is not None:
        known &= np.asarray(mask) != 0
    target = labels[known]
    chance = np.clip(np.asarray(scores, np.float64)[known], 1e-12, 1 - 1e-12)
    of_positives, of_negatives = -target * np.log(chance), -(1 - target) * np.log1p(-chance)
    if not balanced:
        total = of_positives + of_negatives
        return float(total.mean()) if len(total) else math.nan
    weights = target.sum(), (1 - target).sum()
    if min(weights) == 0:
        return math.nan
    return float((of_positives.sum() / weights[0] + of_negatives.sum() / weights[1]) / 2)
