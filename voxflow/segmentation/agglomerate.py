"""Nodes of a graph into clusters: the pair with the highest mean weight first."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.hashing import slot_of
from voxflow.segmentation.queue import Queue, remove, renew, set_up
from voxflow.segmentation.scratch import Scratch

__all__ = ["agglomerate", "agglomerate_in"]


class _Lists(NamedTuple):
    """The edges of each node."""

    first: npt.NDArray[np.int64]
    """An entry is twice the number of an edge, or one more; -1: there is none."""
    last: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    following: npt.NDArray[np.int64]
    """Of each entry."""


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
    parent = np.empty(nodes, np.int32)
    ends, totals, counts = ends.reshape(-1, 2).copy(), totals.copy(), counts.copy()
    agglomerate_in(Scratch(), parent, ends, totals, counts, threshold)
    return parent


def agglomerate_in(
    scratch: Scratch,
    parent: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    threshold: float,
) -> None:
    """The same, into `parent`; the other arrays are used for it."""
    edges = len(ends)
    lists = _Lists(
        scratch.full(len(parent), np.int64, -1),
        scratch.empty(len(parent), np.int64),
        scratch.full(len(parent), np.int64, 0),
        scratch.empty(2 * edges, np.int64),
    )
    queue = Queue(
        scratch.empty(edges, np.float64),
        scratch.empty(edges, np.int64),
        scratch.empty(edges, np.int64),
        np.zeros(1, np.int64),
    )
    np.divide(totals, counts, out=queue.scores)
    room = max(1024, 1 << (4 * edges - 1).bit_length())
    keys, places = scratch.empty(room, np.uint64), scratch.empty(room, np.int64)
    _agglomerate(parent, ends, totals, counts, float(threshold), lists, queue, keys, places)


@kernel
def _key(a: int, b: int) -> Any:
    return (np.uint64(min(a, b)) << np.uint64(32)) | np.uint64(max(a, b))


@kernel
def _put_all(keys: Any, places: Any, ends: Any, queue: Any) -> int:
    """Write the edges that are left into an empty table; how many they are."""
    keys[:] = 0
    places[:] = 0
    for edge in range(len(ends)):
        if queue.places[edge] >= 0:
            key = _key(ends[edge, 0], ends[edge, 1])
            at = slot_of(keys, places, key)
            keys[at], places[at] = key, edge + 1
    return int(queue.length[0])


@kernel
def _append(lists: Any, node: int, entry: int) -> None:
    lists.following[entry] = -1
    if lists.first[node] < 0:
        lists.first[node] = entry
    else:
        lists.following[lists.last[node]] = entry
    lists.last[node] = entry
    lists.length[node] += 1


@kernel
def _agglomerate(
    parent: Any,
    ends: Any,
    totals: Any,
    counts: Any,
    threshold: float,
    lists: Any,
    queue: Any,
    keys: Any,
    places: Any,
) -> None:
    for node in range(parent.size):
        parent[node] = node
    for edge in range(len(ends)):
        _append(lists, ends[edge, 0], 2 * edge)
        _append(lists, ends[edge, 1], 2 * edge + 1)
    set_up(queue)
    filled = _put_all(keys, places, ends, queue)
    while queue.length[0] and queue.scores[queue.edges[0]] > threshold:
        edge = queue.edges[0]
        remove(queue, edge)
        a, b = ends[edge, 0], ends[edge, 1]
        if lists.length[a] > lists.length[b]:
            a, b = b, a
        parent[a] = b
        entry = lists.first[a]
        while entry >= 0:
            after, one = lists.following[entry], entry // 2
            if queue.places[one] >= 0:
                other = ends[one, 0] + ends[one, 1] - a
                key = _key(b, other)
                at = slot_of(keys, places, key)
                two = places[at] - 1
                if two >= 0 and queue.places[two] >= 0:
                    totals[two] += totals[one]
                    counts[two] += counts[one]
                    remove(queue, one)
                    renew(queue, two, totals[two] / counts[two])
                else:
                    filled += two < 0
                    keys[at], places[at] = key, one + 1
                    ends[one, 0], ends[one, 1] = b, other
                    _append(lists, b, entry)
                    if 2 * filled > keys.size:
                        filled = _put_all(keys, places, ends, queue)
            entry = after
