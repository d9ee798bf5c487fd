"""Fragments of a volume into segments: the pair with the highest mean affinity first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.ops.components import root
from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.agglomerate import agglomerate_in
from voxflow.segmentation.volume_graph import Joined, in_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.segmentation.scratch import Scratch
    from voxflow.segmentation.volume_graph import Graphs, Place

__all__ = ["join_by_mean"]


def join_by_mean(graphs: Graphs, threshold: float) -> Joined:
    """Join fragments while the mean weight between two of them is above a threshold.

    Parameters
    ----------
    graphs
        Of blocks: each edge in one of them; their totals and counts say what the mean is.
    threshold
        In units of the graphs' totals.
    """
    scratch = graphs.scratch
    # However the volume was cut, of equal means that of the first pair counts.
    ids = scratch.collected((graphs.read(at, "fragments") for at in _places(graphs)), np.uint64)
    ids.sort()
    if len(ids) >= 2**31:
        raise ValueError("there are more than 2^31 fragments: make larger ones")
    pairs, totals, counts = _edges(graphs, ids, scratch)
    ends = scratch.empty((len(pairs), 2), np.int64)
    _unpack(pairs, ends)
    parent = scratch.empty(len(ids), np.int32)
    agglomerate_in(scratch, parent, ends, totals, counts, threshold)
    _make_first(parent, scratch.full(len(ids), np.int32, -1))
    sizes = scratch.full(len(ids), np.int64, 0)
    for at in _places(graphs):
        nodes = np.searchsorted(ids, graphs.read(at, "fragments"))
        np.add.at(sizes, parent[nodes], graphs.read(at, "sizes"))
    blocks = (
        (at, ids[parent[np.searchsorted(ids, graphs.read(at, "fragments"))]])
        for at in _places(graphs)
    )
    return Joined(_segments(ids, sizes), blocks)


def _places(graphs: Graphs) -> Iterator[Place]:
    return iter(np.ndindex(*graphs.counts))


def _edges(
    graphs: Graphs, ids: npt.NDArray[np.uint64], scratch: Scratch
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All pairs of fragments, in order, and the sum and the number of the weights of each."""
    of_blocks = scratch.collected((_pairs(graphs, at, ids) for at in _places(graphs)), np.uint64)
    pairs = scratch.empty(len(of_blocks), np.uint64)
    pairs[...] = of_blocks
    pairs.sort()
    pairs = pairs[: _keep_first(pairs)]
    totals, counts = (scratch.full(len(pairs), np.int64, 0) for _ in range(2))
    begin = 0
    for at in _places(graphs):
        more = graphs.read(at, "totals")
        which = np.searchsorted(pairs, of_blocks[begin : begin + len(more)])
        np.add.at(totals, which, more)
        np.add.at(counts, which, graphs.read(at, "counts"))
        begin += len(more)
    return pairs, totals, counts


def _segments(
    ids: npt.NDArray[np.uint64], sizes: npt.NDArray[np.int64]
) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]:
    """Names and sizes of all segments: those that have any voxels."""
    for names, voxels in in_runs(ids, sizes):
        yield names[voxels > 0], voxels[voxels > 0]


def _pairs(graphs: Graphs, at: Place, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Between which fragments the edges of a block lie: the how-manieth of all, two in one.

    Raises
    ------
    ValueError
        If there is an edge to a fragment that is not there.
    """
    known = np.concatenate([graphs.read(at, "fragments"), graphs.read(at, "outside")])
    nodes = np.searchsorted(ids, known)
    if not np.array_equal(ids[nodes[nodes < len(ids)]], known):
        raise ValueError("there is an edge to a fragment that has no voxels in any block")
    ends = nodes.astype(np.uint64)[graphs.read(at, "ends")]
    pairs: npt.NDArray[np.uint64] = (ends[:, 0] << np.uint64(32)) | ends[:, 1]
    return pairs


@kernel
def _keep_first(pairs: Any) -> int:
    """Move pairs to the front, each once; how many they are."""
    count = 0
    for i in range(pairs.size):
        if i == 0 or pairs[i] != pairs[count - 1]:
            pairs[count] = pairs[i]
            count += 1
    return count


@kernel
def _unpack(pairs: Any, ends: Any) -> None:
    for i in range(pairs.size):
        ends[i, 0] = np.int64(pairs[i] >> np.uint64(32))
        ends[i, 1] = np.int64(pairs[i] & np.uint64(0xFFFFFFFF))


@kernel
def _make_first(parent: Any, first: Any) -> None:
    """Put in the place of each node's parent the first node of its tree."""
    for node in range(parent.size):
        at = root(parent, node)
        if first[at] < 0:
            first[at] = node
    for node in range(parent.size):
        parent[node] = root(parent, node)
    for node in range(parent.size):
        parent[node] = first[parent[node]]
