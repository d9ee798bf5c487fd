"""One graph of the graphs of many blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Graph
from voxflow.pipeline.data.graph_ids import as_ids
from voxflow.pipeline.data.table import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxflow.pipeline.geometry import Roi

Values = np.ndarray[Any, np.dtype[Any]]

# Stands in for what a node or an edge of a block has not; nobody's attribute can be this.
_NONE = object()


def united(parts: Sequence[Graph], roi: Roi) -> Graph:
    """All nodes of the blocks, each once, and the edges between them; ordered by their ids.

    Nodes that were only made where an edge leaves a block are left out, and so are nodes outside
    of the region. What is in several blocks is taken from the first that has it.

    Parameters
    ----------
    parts
        The graphs of the blocks, at least one.
    roi
        The region of the result, in world units.

    Returns
    -------
    Graph
        A new graph.

    Raises
    ------
    ValueError
        If ids of the blocks do not fit into 64 bits together.
    """
    kept = [~part.temporary & part.inside(roi) & part.inside(part.spec.region) for part in parts]
    chosen = list(zip(parts, kept, strict=True))
    spec = parts[0].spec.copy()
    spec.roi = roi
    ids, first = np.unique(_joined([part.ids[keep] for part, keep in chosen]), return_index=True)
    locations = np.concatenate([part.locations[keep] for part, keep in chosen])[first]
    attrs = {
        name: np.concatenate(_alike([_node_values(p, name)[keep] for p, keep in chosen]))[first]
        for name in _names([part.node_attributes for part in parts])
    }
    edges, rows = _edges(parts, ids)
    edge_attrs = {
        name: np.concatenate(_alike([_edge_values(part, name) for part in parts]))[rows]
        for name in _names([part.edge_attributes for part in parts])
    }
    return Graph.from_arrays(ids, locations, edges, spec, attrs, edge_attrs)


def _edges(parts: Sequence[Graph], ids: Values) -> tuple[Values, Values]:
    """The edges between these nodes, each once, and their rows among the edges of all parts."""
    edges = _joined([part.edge_array for part in parts])
    inside = np.flatnonzero(np.isin(edges, _as(ids, edges.dtype)).all(axis=1))
    ends = edges[inside] if parts[0].directed else np.sort(edges[inside], axis=1)
    if len(ends):
        _, first = np.unique(ends, axis=0, return_index=True)
        inside = inside[first]
    return edges[inside], inside


def _joined(arrays: Sequence[Values]) -> Values:
    """Ids of all, exactly: numpy's own join of int64 and uint64 goes through float64."""
    if len({array.dtype for array in arrays}) == 1:
        return np.concatenate(arrays)
    return as_ids(np.concatenate([array.astype(object) for array in arrays]))


def _as(ids: Values, dtype: np.dtype[Any]) -> Values:
    # Nodes that were left out may have had the only ids that need uint64; what is left of both
    # fits into either type, or cannot be equal.
    if ids.dtype == dtype:
        return ids
    limits = np.iinfo(dtype)
    fits = (ids >= 0) if dtype.kind == "u" else (ids <= ids.dtype.type(limits.max))
    return ids[fits].astype(dtype)


def _names(lists: Sequence[Sequence[str]]) -> list[str]:
    return sorted({name for names in lists for name in names})


def _node_values(part: Graph, name: str) -> Values:
    known = name in part.node_attributes
    return _values(part.node_values, name) if known else _gaps(part.num_vertices())


def _edge_values(part: Graph, name: str) -> Values:
    return (
        _values(part.edge_values, name) if name in part.edge_attributes else _gaps(part.num_edges())
    )


def _values(read: Callable[..., Values], name: str) -> Values:
    values = read(name, missing=_NONE)
    if values.dtype == object:
        values[[value is _NONE for value in values]] = MISSING
    return values


def _gaps(count: int) -> Values:
    return np.full(count, MISSING, dtype=object)


def _alike(columns: list[Values]) -> list[Values]:
    """Columns of one dtype and entry shape, as objects where they differ."""
    columns = [c for c in columns if len(c)] or columns[:1]
    if len({(c.dtype, c.shape[1:]) for c in columns}) == 1:
        return columns
    return [_as_objects(column) for column in columns]


def _as_objects(column: Values) -> Values:
    objects = _gaps(len(column))
    for row, value in enumerate(column.tolist() if column.ndim == 1 else column):
        objects[row] = value
    return objects
