"""Fragments into segments, by the edges between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.clusters import (
    exclude,
    join_if_certain,
    new_clusters,
    root,
    see_outside,
)
from voxflow.segmentation.order import strongest_first

if TYPE_CHECKING:
    from voxflow.segmentation.region_graph import RegionGraph

__all__ = ["as_ids", "cluster_by_strongest", "ends_of"]


def cluster_by_strongest(graph: RegionGraph, whole: bool = True) -> npt.NDArray[np.uint64]:
    """Join fragments as the mutex watershed of the volume does.

    Parameters
    ----------
    graph
        Of a volume; or of a part, with all edges that begin or end there.
    whole
        Whether there is nothing outside. Else only that is joined what nothing outside can change.

    Returns
    -------
    numpy.ndarray
        For each fragment, the id of its segment: the smallest one of its fragments.
    """
    if len(graph.pairs) >= 2**31:
        raise ValueError(
            f"the graph has {len(graph.pairs)} edges, and 2^31 - 1 at most can be joined at once: "
            "take larger blocks, or fewer far affinities (stride=)"
        )
    order = np.argsort(graph.places).astype(np.int32)
    edges = strongest_first(graph.weights, order)
    ends = ends_of(graph, whole)
    repulsive = int((graph.weights < 0).sum())
    clusters = new_clusters(len(graph.fragments), repulsive)
    _cluster(clusters, graph.weights, edges, ends)
    return as_ids(clusters.parent, graph.fragments)


def ends_of(graph: RegionGraph, whole: bool = True) -> npt.NDArray[np.int64]:
    """Between the how-manieth fragments each edge lies, shape (edges, 2); -1: one outside.

    Raises
    ------
    ValueError
        If there is nothing outside, and yet an edge to a fragment that is not there.
    """
    ends: npt.NDArray[np.int64] = np.searchsorted(graph.fragments, graph.pairs)
    known = ends < len(graph.fragments)
    known[known] = graph.fragments[ends[known]] == graph.pairs[known]
    if whole and not known.all():
        raise ValueError("there is an edge to a fragment that has no voxels in any block")
    ends[~known] = -1
    return ends.reshape(-1, 2)


def as_ids(
    parent: npt.NDArray[np.int32], fragments: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Name each tree of fragments by the smallest of their ids, which are in rising order."""
    out = np.zeros(len(fragments), np.uint64)
    _name(parent, fragments, np.full(len(fragments), -1, np.int32), out)
    return out


@kernel
def _cluster(clusters: Any, weights: Any, edges: Any, ends: Any) -> None:
    for edge in edges:
        one, two = ends[edge]
        if one < 0 or two < 0:
            see_outside(clusters, max(one, two), weights[edge] > 0)
        elif weights[edge] > 0:
            join_if_certain(clusters, one, two)
        else:
            exclude(clusters, one, two)


@kernel
def _name(parent: Any, fragments: Any, first: Any, out: Any) -> None:
    for i in range(parent.size):
        at = root(parent, i)
        if first[at] < 0:
            first[at] = i
        out[i] = fragments[first[at]]
