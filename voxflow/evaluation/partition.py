"""How alike two segmentations are as partitions of voxels: information, pairs, CREMI's score."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voxflow.evaluation.contingency import Contingency

__all__ = [
    "AdaptedRand",
    "Variation",
    "adapted_rand",
    "cremi_score",
    "rand_index",
    "variation_of_information",
]


class Variation(NamedTuple):
    """Variation of information, in bits; 0 is perfect."""

    split: float
    """What an object of the truth does not say of the segmentation: objects in pieces."""
    merge: float
    """What an object of the segmentation does not say of the truth: objects run together."""

    @property
    def total(self) -> float:
        """The sum of both."""
        return self.split + self.merge


class AdaptedRand(NamedTuple):
    """How well pairs of voxels are found that are of one object."""

    error: float
    """1 - F1 of precision and recall; 0 is perfect, 1 the worst."""
    precision: float
    """Of the pairs within an object of the segmentation: how many are in one of the truth."""
    recall: float
    """Of the pairs within an object of the truth: how many are in one of the segmentation."""


def variation_of_information(table: Contingency) -> Variation:
    """The variation of information of two segmentations, in its two parts.

    ``split = H(found | truth)`` and ``merge = H(truth | found)``, entropies to the base of 2.

    Parameters
    ----------
    table
        Of all voxels that count; see `Contingency.without`.

    Returns
    -------
    Variation
        Not a number where there is no voxel: nothing was compared.

    References
    ----------
    Meila, Comparing clusterings -- an information based distance (2007), equations 15 and 16.
    Nunez-Iglesias et al., Machine learning of hierarchical clustering to segment 2D and 3D images
    (2013), which names the parts.

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> truth, found = np.array([1, 1, 2, 2]), np.array([1, 2, 3, 3])
    >>> variation_of_information(contingency(truth, found))
    Variation(split=0.5, merge=0.0)
    """
    split, merge = bits(table)
    if table.total == 0:
        return Variation(math.nan, math.nan)
    return Variation(float(split.sum()), float(merge.sum()))


def bits(table: Contingency) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each pair adds to the split and to the merge part, in bits."""
    total = max(table.total, 1)
    shared = table.voxels / total
    truth, found = sizes_of(table.truth, table.voxels), sizes_of(table.found, table.voxels)
    loose = np.isin(table.found, np.array(table.scattered, np.uint64))
    with np.errstate(divide="ignore", invalid="ignore"):
        # A voxel that is an object of its own is a share of 1 / size of the truth's object, and of
        # one object only.
        split = shared * (np.log2(truth) - np.where(loose, 0, np.log2(table.voxels)))
        merge = shared * np.where(loose, 0, np.log2(found) - np.log2(table.voxels))
    return split, merge


def adapted_rand(table: Contingency) -> AdaptedRand:
    """The adapted Rand error of a segmentation.

    With ``p`` voxels in a pair of objects, ``a`` in one of the truth, ``b`` in one of the
    segmentation: ``precision = sum p (p - 1) / sum b (b - 1)``, ``recall = sum p (p - 1) /
    sum a (a - 1)``. A voxel is no pair with itself. Where a sum below is 0, there is no pair
    that could be wrong: precision or recall is 1.

    Parameters
    ----------
    table
        Of all voxels that count; see `Contingency.without`.

    Returns
    -------
    AdaptedRand
        Not a number where there is no voxel: nothing was compared.

    References
    ----------
    Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for
    connectomics (2015).

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> truth, found = np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1])
    >>> adapted_rand(contingency(truth, found))
    AdaptedRand(error=0.5, precision=0.3333333333333333, recall=1.0)
    """
    if table.total == 0:
        return AdaptedRand(math.nan, math.nan, math.nan)
    both, truth, found = _pairs(table)
    precision = both / found if found else 1.0
    recall = both / truth if truth else 1.0
    score = 2 * both / (truth + found) if truth + found else 1.0
    return AdaptedRand(1 - score, precision, recall)


def rand_index(table: Contingency) -> float:
    """Of all pairs of voxels: how many are together in both segmentations, or apart in both.

    1 is perfect. Not a number where there is no voxel; 1 where there is only one.

    References
    ----------
    Rand, Objective criteria for the evaluation of clustering methods (1971).

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> rand_index(contingency(np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1])))
    0.33333333333333337
    """
    total = table.total
    if total == 0:
        return math.nan
    both, truth, found = _pairs(table)
    pairs = total * (total - 1)
    return 1 - (truth + found - 2 * both) / pairs if pairs else 1.0


def cremi_score(table: Contingency) -> float:
    """The score of the CREMI challenge: the geometric mean of VOI and adapted Rand error.

    0 is perfect. The challenge leaves out voxels that are not labelled in the truth, and takes
    each voxel of id 0 in the segmentation for an object of its own in the Rand error:
    ``table.without([0])``, and ``.scatter(0)`` if the segmentation has a background.

    References
    ----------
    https://cremi.org/metrics/

    Examples
    --------
    >>> from voxflow.evaluation import contingency
    >>> round(cremi_score(contingency(np.array([1, 1, 2, 2]), np.array([1, 1, 1, 1]))), 4)
    0.7071
    """
    return math.sqrt(variation_of_information(table).total * adapted_rand(table).error)


def _pairs(table: Contingency) -> tuple[float, float, float]:
    """Pairs of voxels that are together in both, in the truth, in the segmentation."""
    loose = np.isin(table.found, np.array(table.scattered, np.uint64))
    joined = np.where(loose, 1, table.voxels).astype(np.float64)
    _, first = np.unique(table.found[~loose], return_index=True)
    found = sizes_of(table.found, table.voxels)[~loose][first]
    _, first = np.unique(table.truth, return_index=True)
    truth = sizes_of(table.truth, table.voxels)[first]
    both, of_truth, of_found = (float((n * (n - 1)).sum()) for n in (joined, truth, found))
    return both, of_truth, of_found


def sizes_of(ids: NDArray[np.uint64], voxels: NDArray[np.int64]) -> NDArray[np.float64]:
    """For each pair, how many voxels its object has, shape (pairs,)."""
    _, number = np.unique(ids, return_inverse=True)
    sizes = np.bincount(number, weights=voxels, minlength=1).astype(np.float64)
    return sizes[number]
