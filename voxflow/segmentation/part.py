"""What is left of a part of a volume to join: clusters that may still grow, and their edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Part", "merged"]

_MOST = 2**31 - 1


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
    """Edges of one of two parts, and what their ends are in both."""

    ends: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    places: npt.NDArray[np.uint64]
    first: int
    """The number of its first cluster."""
    own: int
    """How many clusters it has."""
    numbers: npt.NDArray[np.int32]
    """Of each one outside; -1: it lies in the other part."""


def merged(
    one: Part,
    two: Part,
    inside: Callable[[npt.NDArray[np.uint64]], npt.NDArray[np.bool_]],
    empty: Callable[..., npt.NDArray[Any]] = np.empty,
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
    empty
        Makes arrays, of a shape and a dtype.
    """
    own = len(one.fragments), len(two.fragments)
    if sum(own) + len(one.outside) + len(two.outside) > _MOST:
        raise ValueError("two parts have more than 2^31 clusters at once: make larger fragments")
    numbers = tuple(empty(len(part.outside), np.int32) for part in (one, two))
    outside = empty(len(one.outside) + len(two.outside), np.uint64)
    known = inside(one.outside), inside(two.outside)
    beyond = _unite((one.outside, two.outside), known, numbers, sum(own), outside)
    edges, others = (
        _Edges(part.ends, part.weights, part.places, first, len(part.fragments), of_outside)
        for part, first, of_outside in zip((one, two), (0, own[0]), numbers, strict=True)
    )
    count = len(one.weights) + len(two.weights)
    ends, weights = empty((count, 2), np.int32), empty(count, np.float32)
    places = empty(count, np.uint64)
    count = _merge(edges, others, ends, weights, places)
    return Part(
        _both(one.fragments, two.fragments, empty),
        _both(one.sizes, two.sizes, empty),
        outside[:beyond],
        ends[:count],
        weights[:count],
        places[:count],
    )


def _both(
    one: npt.NDArray[Any], two: npt.NDArray[Any], empty: Callable[..., npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    out = empty(len(one) + len(two), one.dtype)
    out[: len(one)], out[len(one) :] = one, two
    return out


@kernel
def _unite(ids: Any, known: Any, numbers: Any, first: int, out: Any) -> int:
    """All ids of two rising lists that are not known, and their numbers; how many they are."""
    one, two = ids
    i, j, count = 0, 0, 0
    while i < one.size or j < two.size:
        if i < one.size and known[0][i]:
            numbers[0][i] = -1
            i += 1
        elif j < two.size and known[1][j]:
            numbers[1][j] = -1
            j += 1
        else:
            from_one = j == two.size or (i < one.size and one[i] <= two[j])
            from_two = i == one.size or (j < two.size and two[j] <= one[i])
            if from_one:
                out[count], numbers[0][i] = one[i], first + count
            if from_two:
                out[count], numbers[1][j] = two[j], first + count
            i += from_one
            j += from_two
            count += 1
    return count


@kernel
def _end(edges: Any, at: int, side: int) -> int:
    end = edges.ends[at, side]
    return int(edges.first + end if end < edges.own else edges.numbers[end - edges.own])


@kernel
def _merge(one: Any, two: Any, ends: Any, weights: Any, places: Any) -> int:
    i, j, count = 0, 0, 0
    while i < one.weights.size or j < two.weights.size:
        first, same = j == two.weights.size, False
        if i < one.weights.size and not first:
            a, b = abs(one.weights[i]), abs(two.weights[j])
            same = a == b and one.places[i] == two.places[j]
            first = same or a > b or (a == b and one.places[i] < two.places[j])
        edges, at = (one, i) if first else (two, j)
        low, high = _end(edges, at, 0), _end(edges, at, 1)
        if same:
            low = max(low, high)
            high = max(_end(two, j, 0), _end(two, j, 1))
        i += first
        j += same or not first
        if min(low, high) >= 0:
            ends[count, 0], ends[count, 1] = low, high
            weights[count], places[count] = edges.weights[at], edges.places[at]
            count += 1
    return count
