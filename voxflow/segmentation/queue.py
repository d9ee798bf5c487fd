"""Edges of a graph, of which the highest is always at hand, whatever becomes of the others."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel

__all__ = ["Queue", "remove", "renew", "set_up"]


class Queue(NamedTuple):
    """A binary heap, and where in it each edge is; of equally high ones, the first counts."""

    scores: npt.NDArray[np.float64]
    """Of each edge."""
    edges: npt.NDArray[np.int64]
    """The heap: the highest one is in front."""
    places: npt.NDArray[np.int64]
    """Of each edge, its place in the heap; -1: it is not there any more."""
    length: npt.NDArray[np.int64]
    """Shape (1,): how many are there."""


@kernel
def set_up(queue: Any) -> None:
    """Put all edges into a queue, by their scores."""
    queue.length[0] = queue.edges.size
    for edge in range(queue.edges.size):
        queue.edges[edge] = queue.places[edge] = edge
    for place in range(queue.edges.size // 2 - 1, -1, -1):
        _move_down(queue, place)


@kernel
def renew(queue: Any, edge: int, score: float) -> None:
    """Give an edge another score."""
    queue.scores[edge] = score
    _move_down(queue, _move_up(queue, queue.places[edge]))


@kernel
def remove(queue: Any, edge: int) -> None:
    """Take an edge out."""
    place, last = queue.places[edge], queue.length[0] - 1
    queue.places[edge] = -1
    queue.length[0] = last
    if place < last:
        _put(queue, place, queue.edges[last])
        _move_down(queue, _move_up(queue, place))


@kernel
def _put(queue: Any, place: int, edge: int) -> None:
    queue.edges[place], queue.places[edge] = edge, place


@kernel
def _is_before(queue: Any, one: int, two: int) -> bool:
    a, b = queue.scores[one], queue.scores[two]
    return bool(a > b or (a == b and one < two))


@kernel
def _move_up(queue: Any, place: int) -> int:
    """Where an edge comes to, at the cost of lower ones in front of it."""
    edge = queue.edges[place]
    while place > 0:
        above = (place - 1) // 2
        if not _is_before(queue, edge, queue.edges[above]):
            break
        _put(queue, place, queue.edges[above])
        place = above
    _put(queue, place, edge)
    return place


@kernel
def _move_down(queue: Any, place: int) -> None:
    edge, count = queue.edges[place], queue.length[0]
    while 2 * place + 1 < count:
        below = 2 * place + 1
        if below + 1 < count and _is_before(queue, queue.edges[below + 1], queue.edges[below]):
            below += 1
        if not _is_before(queue, queue.edges[below], edge):
            break
        _put(queue, place, queue.edges[below])
        place = below
    _put(queue, place, edge)
