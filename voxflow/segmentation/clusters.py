"""Clusters that grow together, and pairs of them that must not: the state of a mutex watershed.

A cluster is *open* where it may hold more than is seen here, as beyond the border of a block.
Whether two clusters are kept apart can then depend on what is not seen, and they are only joined
where it cannot.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

__all__ = ["Clusters", "exclude", "join_if_certain", "new_clusters", "root", "see_outside"]

_OPEN = 1
_EXCLUDES_OUTSIDE = 2


class Clusters(NamedTuple):
    """A forest over the nodes, and for each root a list of those it must not be joined with."""

    parent: npt.NDArray[np.int32]
    flags: npt.NDArray[np.uint8]
    first: npt.NDArray[np.int32]
    """Where the list of a root begins; -1: it is empty."""
    last: npt.NDArray[np.int32]
    length: npt.NDArray[np.int32]
    partner: npt.NDArray[np.int32]
    """Of each entry of a list, a node of the other cluster."""
    following: npt.NDArray[np.int32]
    mark: npt.NDArray[np.int64]
    counters: npt.NDArray[np.int64]
    """How many entries there are, and how often a list was walked."""


def new_clusters(nodes: int, exclusions: int) -> Clusters:
    """As many clusters as nodes, with room for that many calls of `exclude`."""
    return Clusters(
        np.arange(nodes, dtype=np.int32),
        np.zeros(nodes, np.uint8),
        np.full(nodes, -1, np.int32),
        np.full(nodes, -1, np.int32),
        np.zeros(nodes, np.int32),
        np.empty(2 * exclusions, np.int32),
        np.empty(2 * exclusions, np.int32),
        np.zeros(nodes, np.int64),
        np.zeros(2, np.int64),
    )


@kernel
def root(parent: Any, at: int) -> int:
    """The root of a node; the way to it becomes shorter."""
    while parent[at] != at:
        parent[at] = parent[parent[at]]
        at = parent[at]
    return at


@kernel
def exclude(clusters: Any, one: int, two: int) -> None:
    """Keep the clusters of two nodes apart, if they are not joined yet."""
    a, b = root(clusters.parent, one), root(clusters.parent, two)
    if a != b and not _excluded(clusters, a, b):
        _append(clusters, a, b)
        _append(clusters, b, a)


@kernel
def _append(clusters: Any, a: int, node: int) -> None:
    entry = clusters.counters[0]
    clusters.counters[0] = entry + 1
    clusters.partner[entry], clusters.following[entry] = node, -1
    if clusters.first[a] < 0:
        clusters.first[a] = entry
    else:
        clusters.following[clusters.last[a]] = entry
    clusters.last[a] = entry
    clusters.length[a] += 1


@kernel
def _excluded(clusters: Any, a: int, b: int) -> bool:
    """Whether two roots are kept apart; entries that have become the same are dropped."""
    if clusters.length[a] > clusters.length[b]:
        a, b = b, a
    clusters.counters[1] += 1
    stamp, before, at = clusters.counters[1], -1, clusters.first[a]
    while at >= 0:
        other = root(clusters.parent, clusters.partner[at])
        after = clusters.following[at]
        if other == b:
            # To the front: it will soon be asked for again.
            front = clusters.first[a]
            clusters.partner[at], clusters.partner[front] = clusters.partner[front], b
            return True
        if clusters.mark[other] == stamp:
            clusters.following[before] = after
            clusters.length[a] -= 1
            if after < 0:
                clusters.last[a] = before
        else:
            clusters.mark[other] = stamp
            before = at
        at = after
    return False


@kernel
def see_outside(clusters: Any, node: int, attractive: bool) -> None:
    """Note that the cluster of a node may go on, or excludes something, that is not seen here."""
    clusters.flags[root(clusters.parent, node)] |= _OPEN if attractive else _EXCLUDES_OUTSIDE


@kernel
def join_if_certain(clusters: Any, one: int, two: int) -> None:
    """Join the clusters of two nodes, unless they are kept apart or may be by what is not seen."""
    a, b = root(clusters.parent, one), root(clusters.parent, two)
    if a == b or _excluded(clusters, a, b):
        return
    open_a, open_b = clusters.flags[a] & _OPEN, clusters.flags[b] & _OPEN
    certain = not (open_a and open_b)
    if certain and (open_a or open_b):
        # What the closed one excludes may belong to the open one.
        certain = not _excludes_unseen(clusters, b if open_a else a)
    if certain:
        _join(clusters, a, b)
    else:
        clusters.flags[a] |= _OPEN
        clusters.flags[b] |= _OPEN


@kernel
def _excludes_unseen(clusters: Any, a: int) -> bool:
    """Whether a root excludes something that may belong to another open cluster."""
    if clusters.flags[a] & _EXCLUDES_OUTSIDE:
        return True
    at = clusters.first[a]
    while at >= 0:
        if clusters.flags[root(clusters.parent, clusters.partner[at])] & _OPEN:
            return True
        at = clusters.following[at]
    return False


@kernel
def _join(clusters: Any, a: int, b: int) -> None:
    if clusters.length[a] > clusters.length[b]:
        a, b = b, a
    clusters.parent[a] = b
    clusters.flags[b] |= clusters.flags[a]
    if clusters.first[a] < 0:
        return
    if clusters.first[b] < 0:
        clusters.first[b] = clusters.first[a]
    else:
        clusters.following[clusters.last[b]] = clusters.first[a]
    clusters.last[b] = clusters.last[a]
    clusters.length[b] += clusters.length[a]
