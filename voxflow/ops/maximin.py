"""The edge that decides whether two voxels are connected, and how many pairs each edge decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.ops.components import root
from voxflow.pipeline.compiled import kernel

from .affinities import Neighborhood, as_integers, parse_neighborhood

__all__ = ["malis_weights", "maximin_pairs"]


def maximin_pairs(
    affinities: npt.NDArray[Any], neighborhood: Neighborhood, labels: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count the pairs of voxels whose maximin edge each edge is.

    Of all ways from one voxel to another, the one whose smallest affinity is largest decides
    whether they are connected at a threshold; that smallest affinity is their maximin edge (Turaga
    et al., 2009, https://arxiv.org/abs/0911.5372). It is found by taking the edges in falling
    order, of equal ones the first, and joining what they connect.

    Parameters
    ----------
    affinities
        Shape (channels, \\*spatial), one to three spatial axes.
    neighborhood
        A vector in voxels for each channel.
    labels
        Integers, shape (\\*spatial). Voxels of 0 connect others, but are in no pair.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        int64, of the shape of the affinities: how many pairs of voxels of the same object, and of
        different objects, each edge decides.

    Raises
    ------
    TypeError
        The labels are not integers.
    ValueError
        Shapes do not fit.

    Examples
    --------
    >>> same, different = maximin_pairs(
    ...     np.array([[0, 0.9, 0.2, 0.8]]), [[-1]], np.array([5, 5, 7, 7])
    ... )
    >>> same.tolist(), different.tolist()
    ([[0, 1, 0, 1]], [[0, 0, 4, 0]])
    """
    table = parse_neighborhood(neighborhood)
    dims = table.shape[1]
    if affinities.shape != (len(table), *labels.shape) or labels.ndim != dims or dims > 3:
        raise ValueError(
            f"affinities of {len(table)} vectors of {dims} entries beside labels of shape "
            f"{labels.shape} have shape {(len(table), *labels.shape)} and 3 spatial axes at most; "
            f"got {affinities.shape}"
        )
    fill = (1,) * (3 - dims)
    vectors = np.zeros((len(table), 3), np.int64)
    vectors[:, 3 - dims :] = table
    numbers = np.unique(as_integers(labels).reshape(-1), return_inverse=True)
    number = np.where(as_integers(labels).reshape(-1) == 0, -1, numbers[1].reshape(-1))
    order = np.argsort(-np.asarray(affinities, np.float64).reshape(-1), kind="stable")
    same, different = np.zeros(affinities.shape, np.int64), np.zeros(affinities.shape, np.int64)
    shape = np.array((*fill, *labels.shape), np.int64)
    _count_pairs(order, vectors, shape, number, same.reshape(-1), different.reshape(-1))
    return same, different


def malis_weights(
    affinities: npt.NDArray[Any],
    target: npt.NDArray[Any],
    neighborhood: Neighborhood,
    labels: npt.NDArray[Any],
    split_labels: npt.NDArray[Any] | None = None,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How much each affinity matters, in the two passes of constrained MALIS.

    In the positive pass no affinity is above its target, so that objects are connected within
    themselves only; counted are the pairs of one object that hang on each edge. In the negative
    pass none is below its target, so that objects are whole; counted are the pairs of different
    objects that each edge connects (Funke et al., 2018, https://doi.org/10.1109/TPAMI.2018.2835450).

    Parameters
    ----------
    affinities, target
        What is predicted and what it should be, 0 to 1, shape (channels, \\*spatial).
    neighborhood
        A vector in voxels for each channel.
    labels
        Integers, shape (\\*spatial); 0: in no pair.
    split_labels
        What the negative pass looks at, where that differs; see `PrepareMalis`.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        int64, of the shape of the affinities: for the positive and the negative pass.

    Examples
    --------
    >>> target = np.array([[0, 1, 0, 1]])
    >>> positive, negative = malis_weights(
    ...     np.array([[0, 0.9, 0.7, 0.1]]), target, [[-1]], np.array([5, 5, 7, 7])
    ... )
    >>> positive.tolist(), negative.tolist()
    ([[0, 1, 0, 1]], [[0, 0, 4, 0]])
    """
    if target.shape != affinities.shape:
        raise ValueError(f"the target has shape {target.shape}, the affinities {affinities.shape}")
    others = labels if split_labels is None else split_labels
    positive, _ = maximin_pairs(np.minimum(affinities, target), neighborhood, labels)
    _, negative = maximin_pairs(np.maximum(affinities, target), neighborhood, others)
    return positive, negative


@kernel
def _count_pairs(
    order: Any, vectors: Any, shape: Any, number: Any, same: Any, different: Any
) -> None:
    n0, n1, n2 = shape
    voxels = n0 * n1 * n2
    parent = np.arange(voxels)
    # How many voxels of each object a component has: a list, of which each voxel is an entry.
    entry, following = np.full(voxels, -1), np.full(voxels, -1)
    count, total = np.zeros(voxels, np.int64), np.zeros(voxels, np.int64)
    for at in range(voxels):
        if number[at] >= 0:
            entry[at], count[at], total[at] = at, 1, 1
    for edge in order:
        channel, one = edge // voxels, edge % voxels
        i, j, k = one // (n1 * n2), one // n2 % n1, one % n2
        x, y, z = i + vectors[channel, 0], j + vectors[channel, 1], k + vectors[channel, 2]
        if not (0 <= x < n0 and 0 <= y < n1 and 0 <= z < n2):
            continue
        a, b = root(parent, one), root(parent, (x * n1 + y) * n2 + z)
        if a != b:
            pairs = total[a] * total[b]
            equal = _merge(a, b, number, entry, following, count)
            same[edge], different[edge] = equal, pairs - equal
            parent[a] = b
            total[b] += total[a]


@kernel
def _merge(a: int, b: int, number: Any, entry: Any, following: Any, count: Any) -> int:
    """Add the list of one component to that of another; how many pairs of one object that makes."""
    equal, at = 0, entry[a]
    first = entry[b]  # what is added now need not be looked at: no object is there twice
    while at >= 0:
        after, other = following[at], first
        while other >= 0 and number[other] != number[at]:
            other = following[other]
        if other >= 0:
            equal += count[at] * count[other]
            count[other] += count[at]
        else:
            following[at], entry[b] = entry[b], at
        at = after
    return equal
