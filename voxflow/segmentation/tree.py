"""Fragments of a volume into segments, by the strongest edges, part by part.

A volume is cut into halves until they are blocks. Where two parts are put together, what lay beyond
the face between them is seen: clusters that cannot grow any more are segments, and are let go with
all their edges. So what is at work is not much more than what lies at the faces of one part; and
that is in files which are mapped, so that the system need not keep it in memory. Which cluster of a
part each of its parts' clusters went into waits in a file, for the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.hashing import mixed
from voxflow.segmentation.part import Part, merged
from voxflow.segmentation.shrink import shrunk
from voxflow.segmentation.spill import Stack
from voxflow.segmentation.volume_graph import Joined, in_runs

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
        self._scratch = graphs.scratch
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
        both = merged(one, two, lambda ids: self._graphs.within(ids, box), self._scratch.empty)
        return both, len(one.fragments)

    def _block(self, place: Place) -> Part:
        part = Part(*(self._graphs.read(place, name).copy() for name in Part._fields))
        crossing = (part.ends >= len(part.fragments)).any(axis=1)
        # Each edge between two blocks comes twice, and is gone from this then.
        self._one_sided ^= int(np.bitwise_xor.reduce(mixed(part.places[crossing] + np.uint64(1))))
        return part

    def _shrunk(self, part: Part, first: int) -> Part:
        """What is left of a part; notes what becomes of the `first` clusters, and of the others."""
        found = shrunk(part, self._scratch)
        self._segments.push(found.names, found.sizes)
        self._ways.push(found.way[:first], found.way[first:])
        self._steps += 1
        return found.part

    def segments(self) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]:
        """Names and sizes of all segments."""
        for _ in range(self._steps):
            names, sizes = self._segments.pop(2)
            yield from in_runs(names, sizes)

    def blocks(self) -> Iterator[tuple[Place, npt.NDArray[np.uint64]]]:
        """Of each block, the names of the segments of its fragments."""
        none_left = np.empty(0, np.uint64)
        if _halves(self._box) is None:
            none_left = self._followed(self._ways.pop(2)[0], none_left)
        yield from self._back(self._box, none_left)

    def _back(
        self, box: _Box, names: npt.NDArray[np.uint64]
    ) -> Iterator[tuple[Place, npt.NDArray[np.uint64]]]:
        """The same of a part, by the names of what was left of it: the last one first."""
        halves = _halves(box)
        if halves is None:
            yield tuple(axis.start for axis in box), names
            return
        one, two = (self._followed(way, names) for way in self._ways.pop(2))
        yield from self._back(halves[1], two)
        yield from self._back(halves[0], one)

    def _followed(
        self, way: npt.NDArray[np.int64], names: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint64]:
        out = self._scratch.empty(len(way), np.uint64)
        _follow(way, names, out)
        return out


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


@kernel
def _follow(way: Any, names: Any, out: Any) -> None:
    """The names of clusters that went a way: into those with these names, or none of them."""
    for i in range(way.size):
        out[i] = names[way[i]] if way[i] >= 0 else np.uint64(-way[i])
