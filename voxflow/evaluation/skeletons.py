"""How far one can go along skeletons in a segmentation before it is wrong."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from voxflow.evaluation.aligned import Placed, block_shape, placed
from voxflow.evaluation.contingency import check_labels
from voxflow.pipeline.data import Graph
from voxflow.pipeline.geometry import Roi

__all__ = ["RunLength", "expected_run_length", "segments_at"]


class RunLength(NamedTuple):
    """The expected run length, and where the rest is; all are lengths in world units."""

    expected: float
    """How far one can go, on average, from a place that is drawn at random on the skeletons."""
    perfect: float
    """The same, of a segmentation without a mistake."""
    total: float
    """Of all edges."""
    split: float
    """Of edges from one segment into another."""
    merged: float
    """Of edges within segments that have nodes of several skeletons."""
    omitted: float
    """Of edges with an end in the background."""

    @property
    def normalised(self) -> float:
        """The expected run length over that of a perfect segmentation; 1 is perfect."""
        return self.expected / self.perfect if self.perfect else math.nan


def expected_run_length(
    skeletons: Graph,
    segments: ArrayLike,
    *,
    of: ArrayLike | None = None,
    background: int = 0,
) -> RunLength:
    """Score a segmentation by skeletons of the truth.

    An edge is right where both of its ends are in one segment, and this segment is neither
    background nor has nodes of another skeleton. With ``r`` the length of the right edges of a
    skeleton in a segment, and ``L`` that of all edges, it is ``sum(r**2) / sum(L)``.

    Parameters
    ----------
    skeletons
        Nodes with locations in world units, and edges; their direction does not matter.
    segments
        The segment of each node, shape (nodes,), such as `segments_at` gives.
    of
        The skeleton of each node, shape (nodes,). None: each connected component is one.
    background
        The id of no segment.

    Returns
    -------
    RunLength
        Not a number where there are no edges.

    Raises
    ------
    ValueError
        If there is not one segment, or not one skeleton, for each node.

    References
    ----------
    Januszewski et al., High-precision automated reconstruction of neurons with flood-filling
    networks (2018), expected run length.

    Examples
    --------
    >>> from voxflow import GraphSpec
    >>> line = Graph.from_arrays(
    ...     [1, 2, 3], [[0, 0], [0, 4], [0, 10]], [[1, 2], [2, 3]], GraphSpec()
    ... )
    >>> expected_run_length(line, [7, 7, 7]).expected, expected_run_length(line, [7, 7, 8]).expected
    (10.0, 1.6)
    """
    ids, edges = skeletons.ids, skeletons.edge_array
    segment = np.asarray(segments)
    owner = _components(skeletons) if of is None else np.asarray(of)
    for name, given in (("segments", segment), ("of", owner)):
        if given.shape != ids.shape:
            raise ValueError(f"{name} has the shape {given.shape}, there are {len(ids)} nodes")
    u, v = _rows(ids, edges)
    places = np.asarray(skeletons.locations, np.float64)
    length = np.sqrt(((places[u] - places[v]) ** 2).sum(axis=1))
    total = float(length.sum())
    if total == 0:
        return RunLength(math.nan, math.nan, 0.0, 0.0, 0.0, 0.0)
    omitted = (segment[u] == background) | (segment[v] == background)
    split = ~omitted & (segment[u] != segment[v])
    merged = ~omitted & ~split & _mergers(segment, owner)[u]
    right = ~(omitted | split | merged)
    runs = _summed(np.stack([_numbered(owner)[u], _numbered(segment)[u]])[:, right], length[right])
    whole = _summed(_numbered(owner)[u][None], length)
    lost = (float(length[where].sum()) for where in (split, merged, omitted))
    expected, perfect = (float((part**2).sum()) / total for part in (runs, whole))
    return RunLength(expected, perfect, total, *lost)


def _rows(ids: NDArray[Any], edges: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The nodes at both ends of each edge, by number."""
    order = np.argsort(ids, kind="stable")
    rows = order[np.searchsorted(ids[order], edges)]
    return rows[:, 0], rows[:, 1]


def _components(graph: Graph) -> NDArray[Any]:
    count = len(graph.ids)
    u, v = _rows(graph.ids, graph.edge_array)
    links = csr_array((np.ones(len(u), np.int8), (u, v)), (count, count))
    numbers: NDArray[Any] = connected_components(links, directed=False)[1]
    return numbers


def _numbered(ids: NDArray[Any]) -> NDArray[np.intp]:
    return np.unique(ids, return_inverse=True)[1]


def _mergers(segment: NDArray[Any], owner: NDArray[Any]) -> NDArray[np.bool_]:
    """For each node, whether its segment has nodes of several skeletons."""
    number = _numbered(segment)
    pairs = np.unique(np.stack([number, _numbered(owner)]), axis=1)
    return np.bincount(pairs[0], minlength=1)[number] > 1


def _summed(keys: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.float64]:
    number = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    return np.bincount(number, weights=values, minlength=1).astype(np.float64)


def segments_at(skeletons: Graph, segmentation: Any, background: int = 0) -> NDArray[Any]:
    """The segment of each node of a graph, read block by block.

    Parameters
    ----------
    skeletons
        Nodes with locations in world units. A node is in the voxel that it lies in.
    segmentation
        Labels, as in `evaluate`, which have to say where they lie.
    background
        What nodes outside of the segmentation get.

    Returns
    -------
    numpy.ndarray
        Of the segmentation's dtype, shape (nodes,).

    Examples
    --------
    >>> from voxflow import Array, ArraySpec, GraphSpec, Roi
    >>> graph = Graph.from_arrays([1, 2, 3], [[0, 3], [0, 9], [0, 90]], [], GraphSpec())
    >>> spec = ArraySpec(Roi((0, 0), (4, 12)), (4, 4))
    >>> segments_at(graph, Array(np.array([[5, 6, 7]]), spec))
    array([5, 7, 0])
    """
    part = placed(segmentation, "segmentation")
    check_labels(part.dataset.dtype, f"segmentation ({part.dataset.uri})")
    if part.geometry is None:
        raise ValueError(
            f"{part.name} does not say its voxel size, so which voxels nodes lie in is not known: "
            "write the attributes 'resolution' and 'offset' (voxflow.stores.write_geometry)"
        )
    places = np.asarray(skeletons.locations, np.float64)
    if places.shape[1] != len(part.shape):
        raise ValueError(f"nodes have {places.shape[1]} axes, {part.name} {len(part.shape)}")
    begin, size = (np.array(c.to_float()) for c in (part.geometry.offset, part.geometry.voxel_size))
    voxels = np.floor((places - begin) / size).astype(np.int64)
    found = np.full(len(voxels), background, part.dataset.dtype)
    inside = np.flatnonzero(((voxels >= 0) & (voxels < np.array(part.shape))).all(axis=1))
    blocks = voxels[inside] // block_shape(part, tuple(part.shape), 2**18)
    for rows in _groups(blocks):
        _look_up(part, voxels, inside[rows], found)
    return found


def _groups(keys: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    if not len(keys):
        return []
    number = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1)


def _look_up(
    part: Placed, voxels: NDArray[np.int64], rows: NDArray[np.intp], found: NDArray[Any]
) -> None:
    """Read the box around some nodes."""
    low, high = voxels[rows].min(axis=0), voxels[rows].max(axis=0)
    box = part.read(Roi(low.tolist(), (high - low + 1).tolist()))
    found[rows] = box.reshape(box.shape[-len(low) :])[tuple((voxels[rows] - low).T)]
