"""Maps of scores against the truth, wherever both are kept: classes, or affinities of ids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxflow.evaluation.aligned import Aligned, Placed, align, placed
from voxflow.evaluation.binary import Confusion, ScoreHistogram
from voxflow.evaluation.contingency import check_labels, parse_ids
from voxflow.ops.affinities import affinities, affinities_mask, reach
from voxflow.pipeline.data.kinds import Affinities, kind_of_attrs
from voxflow.pipeline.geometry import Coordinate, Roi

__all__ = ["ScoreEvaluation", "evaluate_scores", "neighborhood_of"]

Voxels = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ScoreEvaluation:
    """What a map of scores is worth."""

    histogram: ScoreHistogram
    """How often each score is there, for positives and negatives: all else follows from it."""
    threshold: float
    """The one that was given, or the one of the best accuracy."""
    confusion: Confusion
    """The counts at that threshold."""
    roc_area: float
    pr_area: float
    region: Roi
    """What was compared, in world units."""
    voxel_size: Coordinate
    notes: tuple[str, ...]
    """What was left out, and what had to be assumed."""

    @property
    def scores(self) -> dict[str, float]:
        """All numbers by name."""
        return {
            "roc_area": self.roc_area,
            "pr_area": self.pr_area,
            "threshold": self.threshold,
            **self.confusion.measures(),
            **self.confusion._asdict(),
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as numbers, lists and texts; None is not a number."""
        return {
            "scores": {k: v if math.isfinite(v) else None for k, v in self.scores.items()},
            "thresholds": self.histogram.thresholds.tolist(),
            "histogram": {
                "negatives": self.histogram.counts[0].tolist(),
                "positives": self.histogram.counts[1].tolist(),
            },
            "region": {
                "offset": [float(x) for x in self.region.offset],
                "shape": [float(x) for x in self.region.shape],
                "voxel_size": [float(x) for x in self.voxel_size],
            },
            "notes": list(self.notes),
        }


def evaluate_scores(
    truth: Any,
    scores: Any,
    *,
    mask: Any = None,
    ignore: Sequence[int] = (),
    neighborhood: Sequence[Sequence[int]] | None = None,
    channels: Sequence[int] | None = None,
    thresholds: int | Sequence[float] = 256,
    threshold: float | None = None,
    region: Any = None,
    progress: bool = False,
) -> ScoreEvaluation:
    """Score a map of probabilities against the truth, in one pass, block by block.

    Parameters
    ----------
    truth
        As in `evaluate`. A voxel is positive where it is above 0, and does not count where it is
        below. Of affinities: ids; a pair of voxels is positive where they are of one id, and does
        not count where one of them is 0 or outside of the region.
    scores
        As in `evaluate`; floating point, or bool, uint8 and uint16, whose largest value stands
        for 1.
    mask
        Voxels where it is 0 do not count.
    ignore
        Ids of the truth that do not count.
    neighborhood
        The offsets in voxels of scores that are affinities, one for each channel. None: what the
        attributes of the dataset say.
    channels
        Which channels count; all by default.
    thresholds
        How many, evenly from 0 to 1, or a rising list of them.
    threshold
        Where to count; None: where the accuracy is best. The nearest one is taken.
    region
        Compare no more than this, in world units.
    progress
        Whether to show a bar.

    Raises
    ------
    TypeError
        If dtypes do not fit.
    ValueError
        If there are several channels that are no affinities, or for the reasons of `evaluate`.

    Examples
    --------
    >>> truth, scores = np.array([[0, 0, 1, 1]]), np.array([[0.1, 0.4, 0.35, 0.8]])
    >>> found = evaluate_scores(truth, scores, threshold=0.5)
    >>> found.roc_area, found.confusion.precision, found.confusion.recall
    (0.75, 1.0, 0.5)
    """
    first = placed(truth, "truth")
    check_labels(first.dataset.dtype, f"{first.what} ({first.dataset.uri})")
    dims = len(first.shape)
    second = placed(scores, "scores", dims=dims)
    offsets = neighborhood_of(second, neighborhood)
    chosen = list(range(second.channels) if channels is None else channels)
    if offsets is None and len(chosen) != 1:
        raise ValueError(
            f"{second.name} has {second.channels} channels, and does not say that they are "
            "affinities (attribute 'affinity_neighborhood'): give the neighborhood, or "
            "choose a channel"
        )
    parts = [first, second] + ([] if mask is None else [placed(mask, "mask", dims=dims)])
    together = align(*parts, region=region)
    histogram, ignored = ScoreHistogram(thresholds), parse_ids(ignore)
    for tile, (labels, values, *known) in together.blocks(progress):
        values = values.reshape(-1, *values.shape[-dims:])
        valid = known[0].reshape(labels.shape) != 0 if known else None
        if offsets is None:
            classes = np.where(np.isin(labels, ignored), -1, np.sign(labels).astype(np.int8))
            histogram.add(classes.reshape(values.shape[1:]), values[chosen[0]], mask=valid)
            continue
        for channel in chosen:
            pairs, labelled = _pairs(together, tile, offsets[channel], ignored)
            counts = labelled if valid is None else labelled & valid.reshape(labelled.shape)
            histogram.add(pairs, values[channel], mask=counts)
    at = histogram.best() if threshold is None else threshold
    place = float(histogram.thresholds[histogram.nearest(at)])
    return ScoreEvaluation(
        histogram,
        place,
        histogram.at(place),
        histogram.roc_area(),
        histogram.pr_area(),
        together.region,
        together.voxel_size,
        together.notes,
    )


def neighborhood_of(
    scores: Placed, given: Sequence[Sequence[int]] | None = None
) -> tuple[tuple[int, ...], ...] | None:
    """The offsets of scores that are affinities; None if they are not.

    Raises
    ------
    ValueError
        If there is not one for each channel, with an entry for each axis.
    """
    kind = Affinities(given) if given is not None else kind_of_attrs(scores.dataset.attrs)
    if not isinstance(kind, Affinities):
        return None
    offsets = kind.offsets
    if len(offsets) != scores.channels or len(offsets[0]) != len(scores.shape):
        raise ValueError(
            f"{scores.name} has {scores.channels} channels and {len(scores.shape)} axes, but its "
            f"neighborhood is {[list(offset) for offset in offsets]}"
        )
    return offsets


def _pairs(
    together: Aligned, tile: Roi, offset: tuple[int, ...], ignored: NDArray[np.uint64]
) -> tuple[Voxels, Voxels]:
    """Which pairs of voxels are of one object, and which are of two labelled ones."""
    below, above = reach([offset])
    wanted = tile.grow(below, above)
    seen = wanted.intersect(Roi((0,) * tile.dims, together.shape))
    part = together.parts[0]
    read = part.read(together.within(part, seen)).reshape(tuple(map(int, seen.shape)))
    labels = np.zeros(tuple(map(int, wanted.shape)), read.dtype)
    known = np.where(np.isin(read, ignored), 0, read)
    labels[(seen - wanted.offset).to_slices()] = known
    return affinities(labels, [offset])[0], affinities_mask([offset], labels > 0)[0] != 0


def thresholds_between(begin: float, end: float, step: float) -> Iterator[float]:
    """Numbers from `begin` on, `end` included where a step meets it.

    >>> list(thresholds_between(0.1, 0.3, 0.1))
    [0.1, 0.2, 0.3]
    """
    if not (step > 0 and end >= begin):
        raise ValueError(f"a range rises by steps above 0, got {begin}:{end}:{step}")
    for number in range(math.floor((end - begin) / step + 1e-9) + 1):
        yield round(begin + number * step, 12)
