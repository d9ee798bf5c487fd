"""Graphs that end at the faces of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from voxflow.pipeline.data import graph_ids
from voxflow.pipeline.data import graph_ops as ops

if TYPE_CHECKING:
    from voxflow.pipeline.data.graph_arrays import GraphArrays
    from voxflow.pipeline.data.table import Column
    from voxflow.pipeline.geometry import Roi

    G = TypeVar("G", bound=GraphArrays)

__all__ = ["passing", "trimmed"]


def passing(graph: GraphArrays, region: Roi) -> Column:
    """Which edges have both ends outside of a region and a part of them inside, shape (E,)."""
    rows, places = graph.edge_rows, graph.locations
    passes: Column = ~np.any(graph.inside(region)[rows], axis=1)
    ends = rows[passes]
    passes[passes], _, _ = ops.passages(places[ends[:, 0]], places[ends[:, 1]], region)
    return passes


def trimmed(graph: G, region: Roi, in_full: bool = False) -> G:
    """A new graph that ends at the faces of a region; see `GraphArrays.trim`.

    Parameters
    ----------
    graph
        The graph.
    region
        In world units.
    in_full
        Whether edges that pass right through the region stay, too, with two temporary nodes, and
        edges that are cut keep their attributes.
    """
    held, rows, places = graph.inside(region), graph.edge_rows, graph.locations
    inside = held[rows]
    whole = np.flatnonzero(inside.all(axis=1))
    cut, outer_end, outer, points = _cut_once(rows, inside, places, region)
    kept, ends = [whole, cut], [rows[whole], rows[cut]]
    count = int(held.sum())
    made = count + np.arange(len(cut))
    renumbered = np.cumsum(held) - 1
    ends = [renumbered[pairs] for pairs in ends]
    ends[1][np.arange(len(cut)), outer_end] = made
    if in_full:
        through = np.flatnonzero(~inside.any(axis=1))
        first, last = rows[through].T
        passes, begins, stops = ops.passages(places[first], places[last], region)
        through = through[passes]
        kept.append(through)
        ends.append(count + len(cut) + np.arange(2 * len(through)).reshape(2, -1).T)
        outer = np.concatenate([outer, first[passes], last[passes]])
        points = np.concatenate([points, begins, stops])

    nodes = graph._nodes.take(np.concatenate([np.flatnonzero(held), outer]))
    ids = graph_ids.join_ids(graph.ids[held], graph_ids.fresh_ids(graph.ids, len(outer)))
    nodes.set_column("id", ids)
    nodes.column("location")[count:] = points
    nodes.column("temporary")[count:] = True
    edges = graph._edges.take(np.concatenate(kept))
    for column, end in zip("uv", np.concatenate(ends).T, strict=True):
        edges.column(column)[:] = end
    for name in edges.free_names if len(cut) and not in_full else []:
        edges.discard(slice(len(whole), None), name)
    return graph._with(nodes, edges, graph.spec.roi)


def _cut_once(
    rows: Column, inside: Column, places: Column, region: Roi
) -> tuple[Column, Column, Column, Column]:
    """The edges with one end inside: which they are, which end is not, its node, where it goes."""
    cut = np.flatnonzero(inside[:, 0] != inside[:, 1])
    outer_end = inside[cut, 0].astype(np.intp)
    inner, outer = rows[cut, 1 - outer_end], rows[cut, outer_end]
    points = ops.crossings(places[inner], places[outer], region)
    apart = (points != places[inner]).any(axis=1)
    return cut[apart], outer_end[apart], outer[apart], points[apart]
