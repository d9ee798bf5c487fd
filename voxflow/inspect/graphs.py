"""Graphs of snapshots, for the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.inspect.arrays import names_in
from voxflow.stores import open_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.inspect.find import Container

__all__ = ["drawn", "read_graphs"]

_MOST = 5000


def read_graphs(container: Container) -> list[dict[str, Any]]:
    """Read graphs that lie in tables called ``X-ids``, ``X-locations`` and ``X-edges``.

    Parameters
    ----------
    container
        A file.

    Returns
    -------
    list
        Of each its ``"name"``, ``"points"`` (world units), ``"ids"`` as text, ``"edges"`` as pairs
        of places in these, and how many points were ``"leftOut"``.
    """
    names = set(names_in(container))
    found = []
    for name in sorted(names):
        base = name.removesuffix("-locations")
        if base != name and f"{base}-ids" in names:
            found.append(_graph(container, base, f"{base}-edges" in names))
    return found


def _graph(container: Container, base: str, has_edges: bool) -> dict[str, Any]:
    points = open_dataset(container.store, f"{base}-locations").read()
    ids = open_dataset(container.store, f"{base}-ids").read()
    edges = open_dataset(container.store, f"{base}-edges").read() if has_edges else np.empty(0)
    return drawn(base, ids, points.reshape(len(ids), -1), edges.reshape(-1, 2))


def drawn(
    name: str, ids: NDArray[Any], points: NDArray[Any], edges: NDArray[Any]
) -> dict[str, Any]:
    """What is shown of a graph: its first points, and the edges between them; see `read_graphs`.

    >>> drawn("a", np.array([7, 9]), np.array([[1.0], [2.5]]), np.array([[7, 9], [7, 8]]))["edges"]
    [[0, 1]]
    """
    shown = ids[:_MOST].tolist()
    place = {node: i for i, node in enumerate(shown)}
    pairs = [[place[a], place[b]] for a, b in edges.tolist() if a in place and b in place]
    return {
        "name": name,
        "points": points[:_MOST].astype(float).round(3).tolist(),
        "ids": [str(node) for node in shown],
        "edges": pairs,
        "leftOut": len(ids) - len(shown),
    }
