"""Affinities: do two voxels, one vector apart, belong to the same object?

Everything here works on plain arrays. The caller hands in labels that were grown by the
`reach` of the neighborhood and gets the affinities of the interior, so that a block gives the
same values as that part of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

from .pointers import as_element, pointer, unlocked

__all__ = ["affinities", "affinities_mask", "parse_neighborhood", "reach"]

MAX_DIMS = 4

Neighborhood = Sequence[Sequence[int]] | npt.NDArray[np.integer[Any]]


def parse_neighborhood(neighborhood: Neighborhood) -> npt.NDArray[np.int64]:
    """Check a list of vectors in voxels and return it as an array.

    Parameters
    ----------
    neighborhood
        One vector per affinity channel, all with the same 1 to 4 entries, axes slowest first.

    Returns
    -------
    numpy.ndarray
        int64, shape (channels, axes).

    Raises
    ------
    TypeError
        An entry is not a whole number.
    ValueError
        The vectors differ in length, there are none, or they have more than four entries.

    Examples
    --------
    >>> parse_neighborhood([[-1, 0, 0], [0, -1, 0]]).shape
    (2, 3)
    """
    if isinstance(neighborhood, np.ndarray) and _is_parsed(neighborhood):
        return neighborhood.astype(np.int64, copy=False)
    vectors = [tuple(vector) for vector in neighborhood]
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or not 1 <= next(iter(lengths)) <= MAX_DIMS:
        raise ValueError(
            "an affinity neighborhood is one or more vectors of equal length, with 1 to "
            f"{MAX_DIMS} entries each (one per spatial axis, in voxels); got {vectors!r}"
        )
    table = np.asarray(vectors)
    if not np.issubdtype(table.dtype, np.integer):
        raise TypeError(f"an affinity neighborhood holds whole voxels; got {vectors!r}")
    return table.astype(np.int64)


def _is_parsed(table: npt.NDArray[Any]) -> bool:
    fits = table.ndim == 2 and len(table) > 0 and 1 <= table.shape[1] <= MAX_DIMS
    return fits and table.dtype == np.int64


def reach(neighborhood: Neighborhood) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Voxels that a neighborhood looks at below and above a region, per axis, both >= 0.

    Examples
    --------
    >>> reach([[-1, 0, 0], [0, -9, 0], [0, 0, 3]])
    ((1, 9, 0), (0, 0, 3))
    """
    steps = parse_neighborhood(neighborhood).T.tolist()  # few numbers: numpy takes longer
    return tuple(max(0, -min(axis)) for axis in steps), tuple(max(0, *axis) for axis in steps)


def affinities(
    labels: npt.NDArray[Any],
    neighborhood: Neighborhood,
    dtype: npt.DTypeLike = np.uint8,
) -> npt.NDArray[Any]:
    """Affinities of the interior of a label array.

    ``aff[e, x] = 1`` where ``labels[x] == labels[x + neighborhood[e]]`` and both are positive,
    else 0. Ids are compared in their own dtype: the full range of uint64 is safe.

    Parameters
    ----------
    labels
        Integer or bool, shape (\\*leading, \\*spatial): the region wanted, grown by
        `reach` (below at the begin, above at the end of each spatial axis). The spatial axes are
        the last ones, as many as the vectors have entries.
    neighborhood
        Vectors in voxels, one per channel, 1 to 4 spatial axes.
    dtype
        Of the result: any bool, integer or floating dtype.

    Returns
    -------
    numpy.ndarray
        Shape (\\*leading, channels, \\*interior), values 0 and 1.

    Raises
    ------
    TypeError
        The labels are not of an integer (or bool) dtype.
    ValueError
        The labels have too few axes, or are too small for the reach.

    Examples
    --------
    >>> affinities(np.array([7, 7, 7, 0, 0, 5]), [[-1]])
    array([[1, 1, 0, 0, 0]], dtype=uint8)
    """
    grid = _Grid(labels, neighborhood, "labels")
    out, channels = grid.empty(dtype)
    _equal_pairs(grid.blocks(labels), grid.origin, grid.vectors, channels)
    return out


def affinities_mask(
    neighborhood: Neighborhood,
    labels_mask: npt.NDArray[Any] | None = None,
    unlabelled: npt.NDArray[Any] | None = None,
    dtype: npt.DTypeLike = np.uint8,
) -> npt.NDArray[Any]:
    """Which affinities are known: 1 where they may be trained on, else 0.

    An affinity is known if both of its voxels are in the labels mask, and at least one of them is
    labelled. Without a labels mask every voxel counts as inside, without `unlabelled` as labelled.

    Parameters
    ----------
    neighborhood
        As for `affinities`.
    labels_mask
        Nonzero: the label is known. Shape (\\*leading, \\*spatial), grown by the reach as the
        labels are.
    unlabelled
        Zero: the voxel carries no label. Same shape.
    dtype
        Of the result.

    Returns
    -------
    numpy.ndarray
        Shape (\\*leading, channels, \\*interior), values 0 and 1.

    Raises
    ------
    ValueError
        Neither mask is given, or their shapes differ.

    Examples
    --------
    >>> affinities_mask([[-1]], labels_mask=np.array([1, 1, 0, 1, 1]))
    array([[1, 0, 0, 1]], dtype=uint8)
    >>> affinities_mask([[-1]], unlabelled=np.array([1, 0, 0, 0, 1]))
    array([[1, 0, 0, 1]], dtype=uint8)
    """
    given = [mask for mask in (labels_mask, unlabelled) if mask is not None]
    if not given:
        raise ValueError("affinities_mask needs labels_mask or unlabelled; got neither")
    if given[0].shape != given[-1].shape:
        raise ValueError(
            f"labels_mask has shape {given[0].shape}, unlabelled {given[-1].shape}; "
            "they have to cover the same voxels"
        )
    grid = _Grid(given[0], neighborhood, "mask")
    out, channels = grid.empty(dtype)
    if labels_mask is None:
        channels[...] = 1
    else:
        known = grid.blocks(labels_mask != 0)
        _equal_pairs(known, grid.origin, grid.vectors, channels)
    if unlabelled is not None:
        labelled = grid.blocks(unlabelled != 0)
        _clear_where_neither(labelled, grid.origin, grid.vectors, channels)
    return out


class _Grid:
    """A label array of any rank seen as (lead, n0, n1, n2, n3), and what is asked of it."""

    def __init__(self, array: npt.NDArray[Any], neighborhood: Neighborhood, what: str) -> None:
        table = parse_neighborhood(neighborhood)
        dims = table.shape[1]
        if array.ndim < dims:
            raise ValueError(
                f"the affinity neighborhood has {dims} spatial axes, the {what} only {array.ndim} "
                f"(shape {array.shape})"
            )
        below, above = reach(table)
        self.lead = array.shape[: array.ndim - dims]
        self.count = math.prod(self.lead)
        self.spatial = array.shape[array.ndim - dims :]
        self.interior = tuple(n - b - a for n, b, a in zip(self.spatial, below, above, strict=True))
        if min(self.interior) < 0:
            raise ValueError(
                f"the {what} cover {self.spatial} voxels, but the affinity neighborhood reaches "
                f"{below} below and {above} above the region wanted: grow them by the reach"
            )
        self.fill = (1,) * (MAX_DIMS - dims)
        self.origin = np.array((0,) * (MAX_DIMS - dims) + below, dtype=np.int64)
        self.vectors = np.zeros((len(table), MAX_DIMS), dtype=np.int64)
        self.vectors[:, MAX_DIMS - dims :] = table

    def blocks(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return as_integers(array).reshape((self.count, *self.fill, *self.spatial))

    def empty(self, dtype: npt.DTypeLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """The result, and a view of it as (lead, channels, n0, n1, n2, n3) for the kernels."""
        channels = len(self.vectors)
        out = np.empty((*self.lead, channels, *self.interior), dtype=dtype)
        plain = out.view(np.uint8) if out.dtype == bool else out
        return out, plain.reshape((self.count, channels, *self.fill, *self.interior))


def as_integers(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels as a C-contiguous array of a native integer dtype, copied only if they are not.

    The result is for kernels that only read it.

    Raises
    ------
    TypeError
        The dtype is neither an integer nor bool.

    Examples
    --------
    >>> as_integers(np.array([True, False])).dtype
    dtype('uint8')
    """
    if labels.dtype == bool:
        return unlocked(np.ascontiguousarray(labels).view(np.uint8))
    if labels.dtype.kind not in "ui":
        raise TypeError(f"labels have an integer dtype; got {labels.dtype} (use AsType)")
    return unlocked(np.ascontiguousarray(labels, dtype=labels.dtype.newbyteorder("=")))


# The kernels go row by row and write all channels of a row before they move on, so that the rows
# of labels are read from memory once. A neighbour is a fixed way away in memory. The innermost
# loops have no branch: they vectorise.


@kernel
def _equal_pairs(labels: Any, origin: Any, vectors: Any, out: Any) -> None:
    lead, channels, n0, n1, n2, n3 = out.shape
    ids, affinity = pointer(labels), pointer(out)
    size = n0 * n1 * n2 * n3
    for s in range(lead):
        for i in range(n0):
            for j in range(n1):
                for k in range(n2):
                    here = _place(labels.shape, s, i, j, k, origin)
                    row = ((s * channels * n0 + i) * n1 + j) * n2 * n3 + k * n3
                    for e in range(channels):
                        there = here + _way(labels.shape, vectors[e])
                        for x in range(n3):
                            equal = ids[here + x] == ids[there + x]
                            affinity[row + x] = as_element(affinity, equal & (ids[here + x] > 0))
                        row += size


@kernel
def _clear_where_neither(mask: Any, origin: Any, vectors: Any, out: Any) -> None:
    lead, channels, n0, n1, n2, n3 = out.shape
    known, affinity = pointer(mask), pointer(out)
    size = n0 * n1 * n2 * n3
    for s in range(lead):
        for i in range(n0):
            for j in range(n1):
                for k in range(n2):
                    here = _place(mask.shape, s, i, j, k, origin)
                    row = ((s * channels * n0 + i) * n1 + j) * n2 * n3 + k * n3
                    for e in range(channels):
                        there = here + _way(mask.shape, vectors[e])
                        for x in range(n3):
                            either = (known[here + x] != 0) | (known[there + x] != 0)
                            value = as_element(affinity, either) * affinity[row + x]
                            affinity[row + x] = as_element(affinity, value)
                        row += size


@kernel
def _place(shape: Any, s: int, i: int, j: int, k: int, origin: Any) -> int:
    """Where in memory the row (i, j, k) of the interior begins."""
    outer = (s * shape[1] + i + origin[0]) * shape[2] + j + origin[1]
    return int((outer * shape[3] + k + origin[2]) * shape[4] + origin[3])


@kernel
def _way(shape: Any, vector: Any) -> int:
    """How far in memory a neighbour is."""
    return int(((vector[0] * shape[2] + vector[1]) * shape[3] + vector[2]) * shape[4] + vector[3])
