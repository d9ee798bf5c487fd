"""One graph of the graphs of many blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.pipeline.data import Graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.pipeline.geometry import Roi


def united(parts: Sequence[Graph], roi: Roi) -> Graph:
    """All nodes of the blocks, each once, and the edges between them.

    Nodes that were only made where an edge leaves a block are left out, and so are nodes outside
    of the region. Where a node is in several blocks, it is taken from the first.

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
    """
    kept = [~part.temporary & part.inside(roi) & part.inside(part.spec.region) for part in parts]
    ids = np.concatenate([part.ids[keep] for part, keep in zip(parts, kept, strict=True)])
    ids, first = np.unique(ids, return_index=True)
    locations = np.concatenate([p.locations[keep] for p, keep in zip(parts, kept, strict=True)])
    names = sorted({name for part in parts for name in part.node_attributes})
    attrs: dict[str, Any] = {}
    for name in names:
        values = [p.node_values(name)[keep] for p, keep in zip(parts, kept, strict=True)]
        attrs[name] = np.concatenate([v.astype(object) for v in values])[first]
    spec = parts[0].spec.copy()
    spec.roi = roi
    edges = np.concatenate([part.edge_array for part in parts])
    edges = np.unique(edges, axis=0) if len(edges) else edges
    edges = edges[np.isin(edges, ids).all(axis=1)] if len(edges) else edges
    return Graph.from_arrays(ids, locations[first], edges, spec, node_attrs=attrs)
