"""Fragments into segments: the pair with the highest mean affinity first."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from voxflow.ops.components import root
from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.hashing import slot_of
from voxflow.segmentation.volume_graph import Joined

if TYPE_CHECKING:
    from voxflow.segmentation.volume_graph import Graphs, Place

__all__ = ["agglomerate", "join_by_mean"]


def join_by_mean(graphs: Graphs, threshold: float) -> Joined:
    """Join fragments while the mean weight between two of them is above a threshold.

    Parameters
    ----------
    graphs
        Of blocks: each edge in one of them; their totals and counts say what the mean is.
    threshold
        In units of the graphs' totals.
    """
    places = list(np.ndindex(*graphs.counts))
    parts = [graphs.read(place, "fragments") for place in places]
    # However the volume was cut, of equal means that of the first pair counts.
    ids = np.sort(np.concatenate(parts))
    ends = np.concatenate([_ends(graphs, place, ids) for place in places]).astype(np.uint64)
    pairs, which = np.unique((ends[:, 0] << np.uint64(32)) | ends[:, 1], return_inverse=True)
    totals, counts = np.zeros((2, len(pairs)), np.int64)
    np.add.at(totals, which, np.concatenate([graphs.read(place, "totals") for place in places]))
    np.add.at(counts, which, np.concatenate([graphs.read(place, "counts") for place in places]))
    ends = np.stack([pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)], axis=1)
    parent = agglomerate(len(ids), ends.astype(np.int64), totals, counts, threshold)
    first = _firsts(parent)
    sizes = np.zeros(len(ids), np.int64)
    for place, part in zip(places, parts, strict=True):
        np.add.at(sizes, first[np.searchsorted(ids, part)], graphs.read(place, "sizes"))
    found = sizes > 0
    blocks = (
        (place, ids[first[np.searchsorted(ids, part)]])
        for place, part in zip(places, parts, strict=True)
    )
    return Joined([(ids[found], sizes[found])], blocks)


def _ends(graphs: Graphs, place: Place, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Between which fragments the edges of a block lie: the how-manieth of all, in order.

    Raises
    ------
    ValueError
        If there is an edge to a fragment that is not there.
    """
    known = np.concatenate([graphs.read(place, "fragments"), graphs.read(place, "outside")])
    at = np.searchsorted(ids, known)
    if not np.array_equal(ids[at[at < len(ids)]], known):
        raise ValueError("there is an edge to a fragment that has no voxels in any block")
    found: npt.NDArray[np.int64] = at[graphs.read(place, "ends")]
    return found


def agglomerate(
    nodes: int,
    ends: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    threshold: float,
) -> npt.NDArray[np.int32]:
    """Agglomerate a graph by the mean of what lies between two clusters, the highest first.

    Of equal ones, the edge that comes first counts.

    Parameters
    ----------
    nodes
        How many there are.
    ends
        Shape (edges, 2); each pair of nodes is there at most once.
    totals, counts
        The sum and the number of weights of each edge; integers, so that no order of adding them
        matters.
    threshold
        Clusters are joined while their mean is above this.

    Returns
    -------
    numpy.ndarray
        A parent for each node: a forest, whose trees are the clusters.

    Examples
    --------
    >>> ends = np.array([[0, 1], [1, 2]])
    >>> agglomerate(3, ends, np.array([9, 2]), np.array([10, 10]), 0.5).tolist()
    [1, 1, 2]
    """
    parent = np.arange(nodes, dtype=np.int32)
    if len(ends):
        # The kernel changes them.
        _agglomerate(parent, ends.copy(), totals.copy(), counts.copy(), float(threshold))
    return parent


@kernel
def _firsts(parent: Any) -> Any:
    """Of each node, the first one of its tree."""
    first = np.full(parent.size, -1, np.int32)
    for node in range(parent.size):
        at = root(parent, node)
        if first[at] < 0:
            first[at] = node
    for node in range(parent.size):
        parent[node] = root(parent, node)
    return first[parent]


@kernel
def _key(a: int, b: int) -> Any:
    return (np.uint64(min(a, b)) << np.uint64(32)) | np.uint64(max(a, b))


@kernel
def _put_all(keys: Any, places: Any, ends: Any, version: Any) -> int:
    """Write the edges that are left into an empty table; how many they are."""
    keys[:] = 0
    places[:] = 0
    count = 0
    for edge in range(len(ends)):
        if version[edge] >= 0:
            key = _key(ends[edge, 0], ends[edge, 1])
            at = slot_of(keys, places, key)
            keys[at], places[at] = key, edge + 1
            count += 1
    return count


@kernel
def _append(first: Any, last: Any, length: Any, following: Any, node: int, entry: int) -> None:
    following[entry] = -1
    if first[node] < 0:
        first[node] = entry
    else:
        following[last[node]] = entry
    last[node] = entry
    length[node] += 1


@kernel
def _agglomerate(parent: Any, ends: Any, totals: Any, counts: Any, threshold: float) -> None:
    edges = len(ends)
    version = np.zeros(edges, np.int64)  # below 0: it is in another one now
    first, last = np.full(parent.size, -1, np.int64), np.full(parent.size, -1, np.int64)
    length, following = np.zeros(parent.size, np.int64), np.empty(2 * edges, np.int64)
    for edge in range(edges):
        _append(first, last, length, following, ends[edge, 0], 2 * edge)
        _append(first, last, length, following, ends[edge, 1], 2 * edge + 1)
    room = 1024
    while room < 4 * edges:
        room *= 2
    keys, places = np.zeros(room, np.uint64), np.zeros(room, np.int64)
    filled = _put_all(keys, places, ends, version)
    heap = [(-totals[edge] / counts[edge], edge, np.int64(0)) for edge in range(edges)]
    heapq.heapify(heap)
    while heap:
        score, edge, was = heapq.heappop(heap)
        if version[edge] != was:
            continue
        if -score <= threshold:
            break
        a, b = ends[edge, 0], ends[edge, 1]
        if length[a] > length[b]:
            a, b = b, a
        parent[a], version[edge] = b, -1
        entry = first[a]
        while entry >= 0:
            after, one = following[entry], entry // 2
            if version[one] >= 0:
                other = ends[one, 0] + ends[one, 1] - a
                key = _key(b, other)
                at = slot_of(keys, places, key)
                two = places[at] - 1
                if two >= 0 and version[two] >= 0:
                    totals[two] += totals[one]
                    counts[two] += counts[one]
                    version[one] = -1
                    version[two] += 1
                    heapq.heappush(heap, (-totals[two] / counts[two], two, version[two]))
                else:
                    filled += two < 0
                    keys[at], places[at] = key, one + 1
                    ends[one, 0], ends[one, 1] = b, other
                    _append(first, last, length, following, b, entry)
                    if 2 * filled > room:
                        filled = _put_all(keys, places, ends, version)
            entry = after
