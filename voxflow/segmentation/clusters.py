"""Clusters that grow together, and pairs of them that must not: the state of a mutex watershed.

A cluster is *open* where it may hold more than is seen here, as beyond the border of a block.
Whether two clusters are kept apart can then depend on what is not seen, and they are only joined
where it cannot.

Which clusters are kept apart is looked up in a table of pairs. The partners of a cluster are listed
too: where two are joined, the shorter list is walked, and where one becomes open, its own is, once.
So nothing that is done for an edge takes longer where clusters have many partners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.ops.components import root
from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.hashing import mixed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Clusters",
    "is_full",
    "is_open",
    "new_clusters",
    "root_of",
    "take",
    "with_pairs",
    "with_room",
]

_OPEN = 1
_EXCLUDES_UNSEEN = 2
_OUTSIDE = 4
_PARENT, _FIRST, _LENGTH, _FLAGS = range(4)
_ROOM = 1 << 10
_MOST = 2**31 - 1


class Clusters(NamedTuple):
    """A forest over the nodes, and the pairs of roots that must not be joined."""

    nodes: npt.NDArray[np.int32]
    """Shape (nodes, 4), so that what belongs together is read at once: the parent; of a root, where
    the list of its partners begins (-1: it is empty), how long it is, and flags."""
    partner: npt.NDArray[np.int32]
    """Of each entry of a list, a node of the other cluster."""
    following: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.uint64]
    """A table of hashes, of both roots of each pair; 0: empty."""
    counters: npt.NDArray[np.int64]
    """How many entries were made, and how many pairs there are."""

    @property
    def parent(self) -> npt.NDArray[np.int32]:
        """Of each node, another one of the same cluster; itself: it is the root."""
        return self.nodes[:, _PARENT]


def new_clusters(
    outside: npt.NDArray[np.bool_],
    repulsive: int,
    empty: Callable[..., npt.NDArray[Any]] = np.empty,
) -> Clusters:
    """A cluster for each node; of those outside it is only seen that there are edges to them.

    There is room for so many repulsive edges, which only takes memory where it is used.

    Parameters
    ----------
    outside
        Which nodes are.
    repulsive
        How many edges there are that repel, at most.
    empty
        Makes arrays, of a shape and a dtype.
    """
    room = min(2 * repulsive, _MOST)
    nodes = empty((len(outside), 4), np.int32)
    _set_up(nodes, outside)
    return Clusters(
        nodes,
        empty(room, np.int32),
        empty(room, np.int32),
        np.zeros(_ROOM, np.uint64),
        np.zeros(2, np.int64),
    )


@kernel
def _set_up(nodes: Any, outside: Any) -> None:
    for node in range(len(nodes)):
        nodes[node, _PARENT], nodes[node, _FIRST], nodes[node, _LENGTH] = node, -1, 0
        nodes[node, _FLAGS] = _OUTSIDE if outside[node] else 0


@kernel
def root_of(clusters: Any, at: int) -> int:
    """The root of the cluster of a node."""
    return root(clusters.nodes[:, _PARENT], at)


@kernel
def is_open(clusters: Any, at: int) -> bool:
    """Whether the cluster of a root may hold more than is seen."""
    return bool(clusters.nodes[at, _FLAGS] & (_OPEN | _OUTSIDE))


@kernel
def is_full(clusters: Any) -> bool:
    """Whether there is no room to `take` an edge."""
    entries, count = clusters.counters
    return bool(3 * (count + 1) > 2 * clusters.pairs.size or entries + 2 > _MOST)


@kernel
def with_room(clusters: Any) -> Any:
    """The same clusters, with room for more pairs."""
    return with_pairs(clusters, np.zeros(2 * clusters.pairs.size, np.uint64))


@kernel
def with_pairs(clusters: Any, pairs: Any) -> Any:
    """The same clusters, with their pairs in a larger table, which is empty: a power of two."""
    if clusters.counters[0] + 2 > _MOST:
        raise ValueError("there are more than 2^30 pairs of clusters that are kept apart")
    for key in clusters.pairs:
        if key:
            _add(pairs, key)
    return Clusters(clusters.nodes, clusters.partner, clusters.following, pairs, clusters.counters)


@kernel
def take(clusters: Any, one: int, two: int, attractive: bool) -> None:
    """Take an edge, the strongest that is left; there has to be room (see `is_full`)."""
    if clusters.nodes[one, _FLAGS] & _OUTSIDE:
        _see_outside(clusters, two, attractive)
    elif clusters.nodes[two, _FLAGS] & _OUTSIDE:
        _see_outside(clusters, one, attractive)
    elif attractive:
        _join_if_certain(clusters, one, two)
    else:
        _exclude(clusters, one, two)


@kernel
def _exclude(clusters: Any, one: int, two: int) -> None:
    """Keep the clusters of two nodes apart, if they are not joined yet."""
    nodes, a, b = clusters.nodes, root_of(clusters, one), root_of(clusters, two)
    if a == b or not _add(clusters.pairs, _key(a, b)):
        return
    entry = clusters.counters[0]
    clusters.counters[0] += 2
    clusters.counters[1] += 1
    clusters.partner[entry], clusters.partner[entry + 1] = b, a
    _put(clusters, a, entry)
    _put(clusters, b, entry + 1)
    if is_open(clusters, a):
        nodes[b, _FLAGS] |= _EXCLUDES_UNSEEN
    if is_open(clusters, b):
        nodes[a, _FLAGS] |= _EXCLUDES_UNSEEN


@kernel
def _see_outside(clusters: Any, node: int, attractive: bool) -> None:
    """Note that the cluster of a node may go on, or excludes something, that is not seen here."""
    at = root_of(clusters, node)
    if attractive:
        _open(clusters, at)
    else:
        clusters.nodes[at, _FLAGS] |= _EXCLUDES_UNSEEN


@kernel
def _join_if_certain(clusters: Any, one: int, two: int) -> None:
    """Join the clusters of two nodes, unless they are kept apart or may be by what is not seen."""
    a, b = root_of(clusters, one), root_of(clusters, two)
    if a == b or _excluded(clusters, a, b):
        return
    open_a, open_b = is_open(clusters, a), is_open(clusters, b)
    certain = not (open_a and open_b)
    if certain and (open_a or open_b):
        # What the closed one excludes may belong to the open one.
        certain = not clusters.nodes[b if open_a else a, _FLAGS] & _EXCLUDES_UNSEEN
    if certain:
        _join(clusters, a, b)
    else:
        _open(clusters, a)
        _open(clusters, b)


@kernel
def _excluded(clusters: Any, a: int, b: int) -> bool:
    if clusters.nodes[a, _FIRST] < 0 or clusters.nodes[b, _FIRST] < 0:
        return False
    return bool(clusters.pairs[_slot(clusters.pairs, _key(a, b))])


@kernel
def _open(clusters: Any, a: int) -> None:
    """Note that a cluster may hold more than is seen, also with those that are kept apart."""
    nodes = clusters.nodes
    if nodes[a, _FLAGS] & _OPEN:
        return
    nodes[a, _FLAGS] |= _OPEN
    at = nodes[a, _FIRST]
    while at >= 0:
        nodes[root_of(clusters, clusters.partner[at]), _FLAGS] |= _EXCLUDES_UNSEEN
        at = clusters.following[at]


@kernel
def _join(clusters: Any, a: int, b: int) -> None:
    nodes = clusters.nodes
    if is_open(clusters, a) or is_open(clusters, b):
        _open(clusters, a)
        _open(clusters, b)
    if nodes[a, _LENGTH] > nodes[b, _LENGTH]:
        a, b = b, a
    nodes[a, _PARENT] = b
    nodes[b, _FLAGS] |= nodes[a, _FLAGS]
    at = nodes[a, _FIRST]
    while at >= 0:
        after = clusters.following[at]
        other = root_of(clusters, clusters.partner[at])
        # One that is listed twice, since it was two, has been moved already.
        if _remove(clusters.pairs, _key(a, other)):
            if _add(clusters.pairs, _key(b, other)):
                _put(clusters, b, at)
            else:
                clusters.counters[1] -= 1
        at = after


@kernel
def _put(clusters: Any, a: int, entry: int) -> None:
    """Put an entry in front of the list of a root."""
    clusters.following[entry] = clusters.nodes[a, _FIRST]
    clusters.nodes[a, _FIRST] = entry
    clusters.nodes[a, _LENGTH] += 1


@kernel
def _key(a: int, b: int) -> Any:
    return (np.uint64(min(a, b)) << np.uint64(32)) | np.uint64(max(a, b))


@kernel
def _slot(pairs: Any, key: Any) -> int:
    """Where a pair is in the table, or where it would be."""
    end = pairs.size - 1
    at = np.int64(mixed(key)) & end
    while pairs[at] and pairs[at] != key:
        at = (at + 1) & end
    return int(at)


@kernel
def _add(pairs: Any, key: Any) -> bool:
    """Put a pair into the table; whether it was not there."""
    at = _slot(pairs, key)
    new = not pairs[at]
    pairs[at] = key
    return new


@kernel
def _remove(pairs: Any, key: Any) -> bool:
    """Take a pair out of the table; whether it was there.

    Those behind it move up, so that no gap lies before them (Knuth, The Art of Computer
    Programming, volume 3, section 6.4, algorithm R).
    """
    end, gap = pairs.size - 1, _slot(pairs, key)
    if not pairs[gap]:
        return False
    at = (gap + 1) & end
    while pairs[at]:
        home = np.int64(mixed(pairs[at])) & end
        if (at - home) & end >= (at - gap) & end:
            pairs[gap], gap = pairs[at], at
        at = (at + 1) & end
    pairs[gap] = 0
    return True
