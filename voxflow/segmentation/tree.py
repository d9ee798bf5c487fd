"""Fragments of a volume into segments, by the strongest edges, part by part.

A volume is cut into halves until they are blocks. Where two parts are put together, what lay beyond
the face between them is seen: clusters that cannot grow any more are segments, and are let go with
all their edges. So what is in memory is not much more than what lies at the faces of one part;
which cluster of a part each of its parts' clusters went into waits in a file, for the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.clusters import (
    is_full,
    is_open,
    new_clusters,
    root_of,
    take,
    with_room,
)
from voxflow.segmentation.hashing import mixed
from voxflow.segmentation.part import Part, merged
from voxflow.segmentation.spill import Stack
from voxflow.segmentation.volume_graph import Joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.segmentation.volume_graph import Graphs, Place

__all__ = ["join_by_strongest"]

_Box = tuple[range, ...]


def join_by_strongest(graphs: Graphs) -> Joined:
    """Join fragments as the mutex watershed of the volume does.

    Parameters
    ----------
    graphs
        Of blocks: all edges that begin or end there, the strongest of each pair of fragments.
    """
    join = _Join(graphs)
    join.whole()
    return Joined(join.segments(), join.blocks())


class _Join:
    """What was joined so far, all of it in files."""

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self._box = tuple(range(count) for count in graphs.counts)
        self._waiting, self._segments, self._ways = (Stack(graphs.folder) for _ in range(3))
        self._steps = self._one_sided = 0

    def whole(self) -> None:
        """Join all there is."""
        part = self._part(self._box)
        if self._one_sided:
            raise ValueError(
                "the graphs of blocks do not fit together: there is an edge between two of them "
                "that only one has"
            )
        if _halves(self._box) is None:
            self._shrunk(part, len(part.fragments))

    def _part(self, box: _Box) -> Part:
        """What is left of a part of the volume; a block is what it was."""
        halves = _halves(box)
        if halves is None:
            return self._block(tuple(axis.start for axis in box))
        return self._shrunk(*self._both(box, halves))

    def _both(self, box: _Box, halves: tuple[_Box, _Box]) -> tuple[Part, int]:
        """What is left of two parts, put together; how many clusters are of the first one."""
        self._waiting.push(*self._part(halves[0]))
        two = self._part(halves[1])
        one = Part(*self._waiting.pop(len(Part._fields)))
        return merged(one, two, lambda ids: self._graphs.within(ids, box)), len(one.fragments)

    def _block(self, place: Place) -> Part:
        part = Part(*(self._graphs.read(place, name) for name in Part._fields))
        crossing = (part.ends >= len(part.fragments)).any(axis=1)
        # Each edge between two blocks comes twice, and is gone from this then.
        self._one_sided ^= int(np.bitwise_xor.reduce(mixed(part.places[crossing] + np.uint64(1))))
        return part

    def _shrunk(self, part: Part, first: int) -> Part:
        """Join what is certain, and let go what cannot grow.

        Notes what becomes of the `first` clusters, and of the others.
        """
        own = len(part.fragments)
        outside = np.arange(own + len(part.outside)) >= own
        clusters = new_clusters(outside, int(np.count_nonzero(part.weights < 0)))
        _cluster(clusters, part.ends, part.weights)
        names, sizes, way = part.fragments.copy(), part.sizes.copy(), np.empty(own, np.int64)
        _settle(clusters, names, sizes, way)
        root = clusters.parent[:own] == np.arange(own)
        done, going_on = root & (way < 0), root & (way >= 0)
        self._segments.push(names[done], sizes[done])
        self._steps += 1
        self._ways.push(way[:first], way[first:])
        left = _left(clusters, part.ends)
        ends = part.ends[left]
        seen = np.zeros(len(part.outside), bool)
        seen[ends[ends >= own] - own] = True
        number = np.concatenate([way, np.count_nonzero(going_on) + np.cumsum(seen) - 1])
        return Part(
            names[going_on],
            sizes[going_on],
            part.outside[seen],
            number.astype(np.int32)[ends],
            part.weights[left],
            part.places[left],
        )

    def segments(self) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]:
        """Names and sizes of all segments."""
        for _ in range(self._steps):
            names, sizes = self._segments.pop(2)
            yield names, sizes

    def blocks(self) -> Iterator[tuple[Place, npt.NDArray[np.uint64]]]:
        """Of each block, the names of the segments of its fragments."""
        none_left = np.empty(0, np.uint64)
        if _halves(self._box) is None:
            none_left = _followed(self._ways.pop(2)[0], none_left)
        yield from self._back(self._box, none_left)

    def _back(
        self, box: _Box, names: npt.NDArray[np.uint64]
    ) -> Iterator[tuple[Place, npt.NDArray[np.uint64]]]:
        """The same of a part, by the names of what was left of it: the last one first."""
        halves = _halves(box)
        if halves is None:
            yield tuple(axis.start for axis in box), names
            return
        one, two = (_followed(way, names) for way in self._ways.pop(2))
        yield from self._back(halves[1], two)
        yield from self._back(halves[0], one)


def _halves(box: _Box) -> tuple[_Box, _Box] | None:
    """Halves of a box along its longest axis; None: it is one block."""
    longest = max(range(len(box)), key=lambda axis: len(box[axis]))
    blocks = box[longest]
    if len(blocks) == 1:
        return None
    middle = len(blocks) // 2
    one, two = (
        (*box[:longest], half, *box[longest + 1 :]) for half in (blocks[:middle], blocks[middle:])
    )
    return one, two


def _followed(way: npt.NDArray[np.int64], names: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The names of clusters that went a way: into those with these names, or none of them."""
    found = (-way).astype(np.uint64)
    went = way >= 0
    found[went] = names[way[went]]
    return found


@kernel
def _cluster(clusters: Any, ends: Any, weights: Any) -> None:
    for edge in range(weights.size):
        if is_full(clusters):
            clusters = with_room(clusters)
        take(clusters, ends[edge, 0], ends[edge, 1], weights[edge] > 0)


@kernel
def _settle(clusters: Any, names: Any, sizes: Any, way: Any) -> None:
    """What becomes of clusters: their new number, of those that may grow; else minus their name.

    Name and size of a root become those of what was joined.
    """
    count = 0
    for node in range(way.size):
        at = root_of(clusters, node)
        if at != node:
            names[at] = min(names[at], names[node])
            sizes[at] += sizes[node]
    for node in range(way.size):
        if root_of(clusters, node) == node:
            way[node] = -np.int64(names[node])
            if is_open(clusters, node):
                way[node] = count
                count += 1
    for node in range(way.size):
        way[node] = way[root_of(clusters, node)]


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
