"""The graph of a volume from those of its blocks, two halves at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.segmentation.lookup import Lookup
from voxflow.segmentation.region_graph import RegionGraph, united

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxflow.segmentation.methods import Method

__all__ = ["Gathered", "gather"]


class Gathered(NamedTuple):
    """The graph of a part of a volume, in which fragments that surely belong together are one."""

    graph: RegionGraph
    fragments: npt.NDArray[np.uint64]
    """The ids of all fragments there were."""
    became: npt.NDArray[np.uint64]
    """What each of them is called in the graph."""
    seen: int
    """How many edges were read in all."""


def gather(
    counts: Sequence[int], load: Callable[[tuple[int, ...]], RegionGraph], method: Method
) -> Gathered:
    """Put the graphs of all blocks together.

    A volume is cut into halves until they are blocks. Where two halves are put together, what lay
    beyond the face between them is seen, and fragments there become fewer. So what is held is not
    much more than what lies at the faces of the larger parts.

    Parameters
    ----------
    counts
        How many blocks there are along each axis.
    load
        Reads the graph of a block, given its place.
    method
        Says which fragments surely belong together.
    """
    return _gather(tuple(range(count) for count in counts), load, method)


def _gather(
    box: tuple[range, ...], load: Callable[[tuple[int, ...]], RegionGraph], method: Method
) -> Gathered:
    axis = max(range(len(box)), key=lambda number: len(box[number]))
    if len(box[axis]) == 1:
        graph = load(tuple(part.start for part in box))
        return Gathered(graph, graph.fragments, graph.fragments, len(graph.pairs))
    half = len(box[axis]) // 2
    parts = [
        _gather((*box[:axis], part, *box[axis + 1 :]), load, method)
        for part in (box[axis][:half], box[axis][half:])
    ]
    found, fragments, became, seen = zip(*parts, strict=True)
    graphs = list(found)
    del parts, found  # what is not needed any more is let go, as it is large
    names, now = np.concatenate(fragments), np.concatenate(became)
    # Edges that came from beyond the face between the halves still bear the names from before.
    lookup = Lookup(names, now)
    for number, graph in enumerate(graphs):
        graphs[number] = _renamed(graph, lookup)
    graph = united(graphs)
    graphs.clear()
    joined = method.shrink(graph)
    if joined is not None:
        lookup = Lookup(graph.fragments, joined)
        graph, now = _renamed(graph, lookup), lookup(now)
        graph = united([graph])
    return Gathered(graph, names, now, sum(seen))


def _renamed(graph: RegionGraph, lookup: Lookup) -> RegionGraph:
    """The graph with other names, of which several may be the same."""
    ends = lookup(graph.pairs, missing="keep")
    pairs = np.stack([ends.min(axis=1), ends.max(axis=1)], axis=1)
    apart = pairs[:, 0] != pairs[:, 1]
    edges = [part[apart] for part in graph[3:]]
    fragments = lookup(graph.fragments, missing="keep")
    return RegionGraph(fragments, graph.sizes, pairs[apart], *edges)
