"""A part of a volume becomes smaller: what is certain is joined, what cannot grow is let go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.clusters import (
    is_full,
    is_open,
    new_clusters,
    root_of,
    take,
    with_pairs,
)
from voxflow.segmentation.part import Part

if TYPE_CHECKING:
    from voxflow.segmentation.clusters import Clusters
    from voxflow.segmentation.scratch import Scratch

__all__ = ["Shrunk", "shrunk"]


class Shrunk(NamedTuple):
    """What became of the clusters of a part."""

    part: Part
    """Those that may still grow."""
    way: npt.NDArray[np.int64]
    """The number of each cluster in `part`; minus the name of its segment, if it is none of it."""
    names: npt.NDArray[np.uint64]
    """Of those that are segments."""
    sizes: npt.NDArray[np.int64]
    """How many voxels each of them has."""


def shrunk(part: Part, scratch: Scratch) -> Shrunk:
    """Join what is certain, and let go what cannot grow.

    Parameters
    ----------
    part
        Its arrays are used for what is left of it.
    scratch
        Makes all others.
    """
    fragments, sizes, outside, ends, weights, places = part
    own, edges = len(fragments), len(weights)
    clusters = _clustered(part, scratch)
    nodes = len(clusters.nodes)
    way = scratch.empty(own, np.int64)
    names, voxels = scratch.empty(own, np.uint64), scratch.empty(own, np.int64)
    going_on, done = _settle(clusters, fragments, sizes, way, names, voxels)
    left = scratch.empty(edges, bool)
    begin, by_node = scratch.full(nodes + 1, np.int64, 0), scratch.empty(edges, np.int64)
    _find_left(clusters, ends, left, begin, by_node, scratch.full(nodes, np.int32, -1))
    number = scratch.full(nodes, np.int32, -1)
    beyond = _number(ends, left, way, going_on, number, outside)
    count = _keep(left, number, ends, weights, places)
    smaller = Part(
        fragments[:going_on],
        sizes[:going_on],
        outside[:beyond],
        ends[:count],
        weights[:count],
        places[:count],
    )
    return Shrunk(smaller, way, names[:done], voxels[:done])


def _clustered(part: Part, scratch: Scratch) -> Clusters:
    """Clusters that were grown by all edges of a part."""
    own = len(part.fragments)
    outside = scratch.full(own + len(part.outside), bool, True)
    outside[:own] = False
    clusters = new_clusters(outside, _repulsive(part.weights), scratch.empty)
    edge = _cluster(clusters, part.ends, part.weights, 0)
    while edge < len(part.weights):
        pairs = scratch.full(2 * len(clusters.pairs), np.uint64, 0)
        clusters = with_pairs(clusters, pairs)
        edge = _cluster(clusters, part.ends, part.weights, edge)
    return clusters


@kernel
def _repulsive(weights: Any) -> int:
    count = 0
    for weight in weights:
        count += weight < 0
    return count


@kernel
def _cluster(clusters: Any, ends: Any, weights: Any, edge: int) -> int:
    """Take edges from one on; the first that there is no room for."""
    while edge < weights.size and not is_full(clusters):
        take(clusters, ends[edge, 0], ends[edge, 1], weights[edge] > 0)
        edge += 1
    return edge


@kernel
def _settle(clusters: Any, fragments: Any, sizes: Any, way: Any, names: Any, voxels: Any) -> Any:
    """What becomes of clusters; how many go on, and how many are segments.

    Name and size of a root become those of what was joined. Those that go on move to the front, the
    others to `names` and `voxels`.
    """
    count, done = 0, 0
    for node in range(way.size):
        at = root_of(clusters, node)
        if at != node:
            fragments[at] = min(fragments[at], fragments[node])
            sizes[at] += sizes[node]
    for node in range(way.size):
        if root_of(clusters, node) == node:
            if is_open(clusters, node):
                fragments[count], sizes[count] = fragments[node], sizes[node]
                way[node] = count
                count += 1
            else:
                names[done], voxels[done] = fragments[node], sizes[node]
                way[node] = -np.int64(fragments[node])
                done += 1
    for node in range(way.size):
        way[node] = way[root_of(clusters, node)]
    return count, done


@kernel
def _find_left(clusters: Any, ends: Any, left: Any, begin: Any, by_node: Any, seen: Any) -> None:
    """Which edges can still matter: the strongest of two clusters that may both grow.

    A cluster that is not open is a segment: its edges would join it with what it is kept apart
    from. The ends become roots.
    """
    for edge in range(len(ends)):
        one, two = root_of(clusters, ends[edge, 0]), root_of(clusters, ends[edge, 1])
        ends[edge, 0], ends[edge, 1] = min(one, two), max(one, two)
        left[edge] = one != two and is_open(clusters, one) and is_open(clusters, two)
        begin[min(one, two) + 1] += left[edge]
    for node in range(len(clusters.nodes)):
        begin[node + 1] += begin[node]
    count = begin[-1]
    for edge in range(len(ends)):
        if left[edge]:
            node = ends[edge, 0]
            by_node[begin[node]] = edge
            begin[node] += 1
    for edge in by_node[:count]:
        node, other = ends[edge]
        left[edge] = seen[other] != node
        seen[other] = node


@kernel
def _number(ends: Any, left: Any, way: Any, going_on: int, number: Any, outside: Any) -> int:
    """The new numbers of roots that edges are left of; how many of them lie outside."""
    own, count = way.size, going_on
    number[:own] = way
    for edge in range(len(ends)):
        if left[edge]:
            for node in ends[edge]:
                if node >= own:
                    number[node] = 0
    for node in range(own, number.size):
        if number[node] == 0:
            outside[count - going_on], number[node] = outside[node - own], count
            count += 1
    return count - going_on


@kernel
def _keep(left: Any, number: Any, ends: Any, weights: Any, places: Any) -> int:
    """Move what is left to the front; how many edges they are."""
    count = 0
    for edge in range(left.size):
        if left[edge]:
            ends[count, 0], ends[count, 1] = number[ends[edge, 0]], number[ends[edge, 1]]
            weights[count], places[count] = weights[edge], places[edge]
            count += 1
    return count
