"""Fragments of a volume into segments, by the strongest edges, part by part.

A volume is cut into halves along each axis until they are blocks. Where parts are put together,
what lay beyond the faces between them is seen, and fragments there become fewer. So what is held is
not much more than the edges at the faces of the larger parts.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.clusters import (
    Clusters,
    is_full,
    is_open,
    new_clusters,
    root,
    root_of,
    take,
    with_room,
)
from voxflow.segmentation.volume_graph import Joined, Numbering, named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.segmentation.volume_graph import Graphs

__all__ = ["join_by_strongest"]

_Box = tuple[range, ...]


class _Edges(NamedTuple):
    """Edges of a part of a volume, the strongest first; of equally strong ones the first."""

    ends: npt.NDArray[np.int32]
    """Shape (edges, 2): the numbers of fragments."""
    weights: npt.NDArray[np.float32]
    places: npt.NDArray[np.uint64]


def join_by_strongest(graphs: Graphs) -> Joined:
    """Join fragments as the mutex watershed of the volume does.

    Parameters
    ----------
    graphs
        Of blocks: all edges that begin or end there, the strongest of each pair of fragments.
    """
    whole = tuple(range(count) for count in graphs.counts)
    join = _Join(graphs, whole)
    join.finish(join.edges_of(whole))
    ids = join.numbering.ids
    return Joined(ids, join.numbering.sizes, named(join.parent, ids))


class _Join:
    """What was joined so far: a forest of all fragments of a volume."""

    def __init__(self, graphs: Graphs, whole: _Box) -> None:
        self._read = graphs.read
        self.numbering = Numbering(graphs, list(_blocks(whole)))
        self.parent = np.arange(len(self.numbering.ids), dtype=np.int32)
        self._number = np.full(len(self.parent), -1, np.int32)

    def edges_of(self, box: _Box) -> _Edges:
        """Join what is certain within the parts of a part of the volume; the edges that are left.

        Of the part itself, nothing is joined yet.
        """
        first, last = (tuple(axis[at] for axis in box) for at in (0, -1))
        if first == last:
            weights, places = self._read(first, "weights"), self._read(first, "places")
            return _Edges(self.numbering.ends(first), weights, places)
        # Two at a time, so that few are held at once.
        parts: list[_Edges] = []
        for count, part in enumerate(_parts(box), 1):
            parts.append(self._shrunk(part))
            while count % 2 == 0:
                count //= 2
                parts[-2:] = [_merged(*parts[-2:])]
        return parts.pop()

    def _shrunk(self, box: _Box) -> _Edges:
        """Join what is certain in a part; the edges that are left.

        Those of a block are: its fragments have seen what it can see.
        """
        edges = self.edges_of(box)
        if all(len(axis) == 1 for axis in box):
            return edges
        # The numbers of a part follow each other.
        begin = self.numbering.span[tuple(axis[0] for axis in box)][0]
        end = self.numbering.span[tuple(axis[-1] for axis in box)][1]
        clusters, nodes = self._take(edges, begin, end)
        left = _left(clusters, edges.ends)
        return _Edges(nodes[edges.ends[left]], edges.weights[left], edges.places[left])

    def finish(self, edges: _Edges) -> None:
        """Take the edges that are left, of the whole volume."""
        self._take(edges, 0, len(self.parent))

    def _take(self, edges: _Edges, begin: int, end: int) -> tuple[Clusters, npt.NDArray[np.int32]]:
        """Take the edges where nothing outside of the fragments from a number to another can change
        what they do. Their ends become numbers of the nodes that are returned, in place.
        """
        nodes = np.empty(min(edges.ends.size, len(self.parent)), np.int32)
        nodes = nodes[: _number(edges.ends, self.parent, self._number, nodes)].copy()
        self._number[nodes] = -1
        clusters = new_clusters((nodes < begin) | (nodes >= end))
        _cluster(clusters, edges.ends, edges.weights)
        _adopt(clusters, nodes, self.parent)
        return clusters, nodes


def _parts(box: _Box) -> Iterator[_Box]:
    """Halves of a box along each axis."""
    halves = [(axis[: len(axis) // 2], axis[len(axis) // 2 :]) for axis in box]
    return product(*([half for half in pair if len(half)] for pair in halves))


def _blocks(box: _Box) -> Iterator[tuple[int, ...]]:
    """The places of all blocks; those of each part lie together."""
    if all(len(axis) == 1 for axis in box):
        yield tuple(axis.start for axis in box)
    else:
        for part in _parts(box):
            yield from _blocks(part)


def _merged(one: _Edges, two: _Edges) -> _Edges:
    """The edges of two parts, in their order; one that both have is there once."""
    out = _Edges(
        np.concatenate([one.ends, two.ends]),
        np.concatenate([one.weights, two.weights]),
        np.concatenate([one.places, two.places]),
    )
    count = _merge(one, two, out)
    return _Edges(out.ends[:count], out.weights[:count], out.places[:count])


@kernel
def _merge(one: Any, two: Any, out: Any) -> int:
    i, j, count = 0, 0, 0
    while i < one.weights.size or j < two.weights.size:
        first = j == two.weights.size
        if i < one.weights.size and not first:
            a, b = abs(one.weights[i]), abs(two.weights[j])
            same = a == b and one.places[i] == two.places[j]
            j += same
            first = same or a > b or (a == b and one.places[i] < two.places[j])
        edges, at = (one, i) if first else (two, j)
        i, j = (i + 1, j) if first else (i, j + 1)
        out.ends[count, 0], out.ends[count, 1] = edges.ends[at, 0], edges.ends[at, 1]
        out.weights[count], out.places[count] = edges.weights[at], edges.places[at]
        count += 1
    return count


@kernel
def _number(ends: Any, parent: Any, number: Any, nodes: Any) -> int:
    """Number the roots of fragments anew, from 0, in place; how many there are."""
    count = 0
    for edge in range(len(ends)):
        for side in range(2):
            at = root(parent, ends[edge, side])
            if number[at] < 0:
                number[at], nodes[count] = count, at
                count += 1
            ends[edge, side] = number[at]
    return count


@kernel
def _cluster(clusters: Any, ends: Any, weights: Any) -> None:
    for edge in range(weights.size):
        if is_full(clusters):
            clusters = with_room(clusters)
        if ends[edge, 0] != ends[edge, 1]:
            take(clusters, ends[edge, 0], ends[edge, 1], weights[edge] > 0)


@kernel
def _adopt(clusters: Any, nodes: Any, parent: Any) -> None:
    for node in range(nodes.size):
        parent[nodes[node]] = nodes[root_of(clusters, node)]


@kernel
def _left(clusters: Any, ends: Any) -> Any:
    """Which edges can still matter: the strongest of two clusters that may both grow.

    A cluster that is not open is a segment: its edges would join it with what it is kept apart
    from. The ends become roots.
    """
    left = np.zeros(len(ends), np.bool_)
    begin = np.zeros(len(clusters.nodes) + 1, np.int64)
    for edge in range(len(ends)):
        one, two = root_of(clusters, ends[edge, 0]), root_of(clusters, ends[edge, 1])
        ends[edge, 0], ends[edge, 1] = min(one, two), max(one, two)
        left[edge] = one != two and is_open(clusters, one) and is_open(clusters, two)
        begin[min(one, two) + 1] += left[edge]
    begin = np.cumsum(begin)
    by_node = np.empty(begin[-1], np.int32)
    for edge in range(len(ends)):
        if left[edge]:
            node = ends[edge, 0]
            by_node[begin[node]] = edge
            begin[node] += 1
    seen = np.full(len(clusters.nodes), -1, np.int32)
    for edge in by_node:
        node, other = ends[edge]
        left[edge] = seen[other] != node
        seen[other] = node
    return left
