"""Graphs seen through a map: exact places, and what becomes of edges that leave the region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from voxflow.pipeline.data.graph_trim import passing, trimmed

if TYPE_CHECKING:
    from voxflow.ops.maps import Map
    from voxflow.pipeline.data import Graph
    from voxflow.pipeline.geometry import Roi

Edges = Literal["keep", "clip", "drop"]
"""What becomes of edges that leave a region."""


def check_edges(edges: Edges) -> Edges:
    """What becomes of edges that leave the region, or an error that says what can."""
    if edges not in ("keep", "clip", "drop"):
        raise ValueError(
            f"edges that leave the region are to 'keep', to 'clip' or to 'drop', got {edges!r}"
        )
    return edges


def moved_graph(warp: Map, graph: Graph, roi: Roi, edges: Edges) -> tuple[Graph, dict[str, int]]:
    """A graph as the map shows it in a region.

    Every node is moved by itself, with its id and attributes. Edges stay straight lines between
    their nodes, with their attributes. Nodes that have no place any more, behind the horizon of a
    `voxflow.ops.maps.Perspective`, go with their edges.

    Parameters
    ----------
    warp
        The map.
    graph
        The graph, which stays as it is.
    roi
        The region (world units). Nodes outside of it go.
    edges
        What becomes of edges that are only partly inside. "keep": those with one end inside stay,
        and with them the nodes outside at their other ends. "clip": they end on the faces of the
        region, in temporary nodes that have the attributes of the nodes outside. "drop": they go.

    Returns
    -------
    tuple[Graph, dict[str, int]]
        The graph, and what was done to how many edges: "edges clipped", "edges dropped".
    """
    places = warp.points(graph.locations.astype(np.float64))
    shown = np.isfinite(places).all(axis=1)
    moved = graph.select(shown)
    moved.locations = places[shown]
    moved.spec.roi = roi
    lost = graph.num_edges() - moved.num_edges()
    if edges == "clip":
        whole = int(moved.inside(roi)[moved.edge_rows].all(axis=1).sum())
        clipped = trimmed(moved, roi, in_full=True)
        return clipped, _counted(clipped=clipped.num_edges() - whole, dropped=lost)
    dropped = lost + int(passing(moved, roi).sum())
    if edges == "drop":
        dropped += int(moved.crossing(roi).sum())
    return moved.crop(roi, crossing=edges), _counted(dropped=dropped)


def _counted(**edges: int) -> dict[str, int]:
    return {f"edges {what}": count for what, count in edges.items() if count}
