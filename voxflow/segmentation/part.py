"""What is left of a part of a volume to join: clusters that may still grow, and their edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Part", "merged"]


class Part(NamedTuple):
    """Clusters of a part of a volume, and edges, as a `RegionGraph` has them.

    Edges are there the strongest first; of equally strong ones the first.
    """

    fragments: npt.NDArray[np.uint64]
    """Of each cluster, the smallest id of its fragments."""
    sizes: npt.NDArray[np.int64]
    """How many voxels each one has."""
    outside: npt.NDArray[np.uint64]
    """Ids of fragments elsewhere that there are edges to, in rising order."""
    ends: npt.NDArray[np.int32]
    """Shape (edges, 2): the how-manieth cluster, followed by `outside`."""
    weights: npt.NDArray[np.float32]
    places: npt.NDArray[np.uint64]
    """Which edge of the volume each one is."""


class _Edges(NamedTuple):
    ends: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    places: npt.NDArray[np.uint64]


def merged(
    one: Part,
    two: Part,
    inside: Callable[[npt.NDArray[np.uint64]], npt.NDArray[np.bool_]],
) -> Part:
    """Put two parts together.

    An edge between them is known to both: each says which of its clusters it ends at. One that only
    one of them knows was let go by the other, where it cannot matter any more.

    Parameters
    ----------
    one, two
        Parts that share no fragment.
    inside
        Which fragments lie in one of them.
    """
    own = len(one.fragments), len(two.fragments)
    beyond = [part.outside[~inside(part.outside)] for part in (one, two)]
    outside = np.unique(np.concatenate(beyond))
    edges, others = (
        _Edges(_numbers(part, first, sum(own), outside)[part.ends], part.weights, part.places)
        for part, first in ((one, 0), (two, own[0]))
    )
    count = len(one.weights) + len(two.weights)
    out = _Edges(
        np.empty((count, 2), np.int32), np.empty(count, np.float32), np.empty(count, np.uint64)
    )
    count = _merge(edges, others, out)
    return Part(
        np.concatenate([one.fragments, two.fragments]),
        np.concatenate([one.sizes, two.sizes]),
        outside,
        out.ends[:count],
        out.weights[:count],
        out.places[:count],
    )


def _numbers(
    part: Part, first: int, own: int, outside: npt.NDArray[np.uint64]
) -> npt.NDArray[np.int32]:
    """What the ends of a part become; -1: what lies in the other one."""
    at = np.searchsorted(outside, part.outside)
    at[at == len(outside)] = 0
    known = outside[at] == part.outside if len(outside) else np.zeros(len(at), bool)
    clusters = np.arange(first, first + len(part.fragments))
    return np.concatenate([clusters, np.where(known, own + at, -1)]).astype(np.int32)


@kernel
def _merge(one: Any, two: Any, out: Any) -> int:
    i, j, count = 0, 0, 0
    while i < one.weights.size or j < two.weights.size:
        first, same = j == two.weights.size, False
        if i < one.weights.size and not first:
            a, b = abs(one.weights[i]), abs(two.weights[j])
            same = a == b and one.places[i] == two.places[j]
            first = same or a > b or (a == b and one.places[i] < two.places[j])
        edges, at = (one, i) if first else (two, j)
        low, high = edges.ends[at, 0], edges.ends[at, 1]
        if same:
            low = max(low, high)
            high = max(two.ends[j, 0], two.ends[j, 1])
        i += first
        j += same or not first
        if min(low, high) >= 0:
            out.ends[count, 0], out.ends[count, 1] = low, high
            out.weights[count], out.places[count] = edges.weights[at], edges.places[at]
            count += 1
    return count
