"""A graph as arrays: what is done to all of its nodes and edges at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from voxflow.pipeline.data import graph_ids
from voxflow.pipeline.data import graph_ops as ops
from voxflow.pipeline.data.graph_trim import trimmed
from voxflow.pipeline.data.links import Degrees, Links
from voxflow.pipeline.data.table import MISSING, Column, Table
from voxflow.pipeline.geometry import Roi

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from voxflow.pipeline.data.spec import GraphSpec


class GraphArrays:
    """The tables of a graph, and the work that is done on them as a whole.

    `Graph` adds constructors, and nodes and edges one by one.
    """

    spec: GraphSpec
    _nodes: Table
    _edges: Table  # "u" and "v" hold rows of _nodes
    _rows: dict[int, int] | None
    _links: Links | None
    _layout: int  # grows when rows are renumbered, so that views notice

    def _fill(
        self,
        ids: Column,
        locations: Column,
        temporary: Column,
        ends: Column,
        spec: GraphSpec,
        free: dict[str, Column],
        edge_free: dict[str, Column],
    ) -> None:
        graph_ids.check_unique(ids)
        roi_dims = None if spec.roi is None else spec.roi.dims
        if not len(ids) and not locations.size:
            locations = np.empty((0, roi_dims or 0))
        places = ops.as_locations(locations, spec.dtype, roi_dims, len(ids))
        rows = graph_ids.rows_of(ids, ends)
        if (rows < 0).any():
            lost = ends[(rows < 0).any(axis=1)]
            raise KeyError(
                f"{len(lost)} edges lead to nodes that are not in the graph of {len(ids)} nodes, "
                f"the first from {lost[0, 0]} to {lost[0, 1]}"
            )
        self.spec = spec
        self._nodes = Table({"id": ids, "location": places, "temporary": temporary}, free)
        self._edges = Table({"u": rows[:, 0].copy(), "v": rows[:, 1].copy()}, edge_free)
        self._layout = 0
        self._rows = self._links = None
        if ops.has_duplicates(rows, len(ids), self.directed):
            self._link()  # makes one of those that are there twice
            self._settle()

    # -- as arrays ----------------------------------------------------------------------------

    @property
    def ids(self) -> Column:
        """The ids, shape (N,); int64, or uint64 if one is larger than that. Read-only."""
        self._settle()
        ids = self._nodes.column("id").view()
        ids.flags.writeable = False
        return ids

    @property
    def locations(self) -> Column:
        """The locations in world units, shape (N, dims). Can be set, and edited in place."""
        self._settle()
        return self._nodes.column("location")

    @locations.setter
    def locations(self, locations: ArrayLike) -> None:
        own = self.locations
        own[...] = ops.as_locations(locations, own.dtype, own.shape[1], len(own))

    @property
    def temporary(self) -> Column:
        """Which nodes are temporary, shape (N,). Can be edited in place."""
        self._settle()
        return self._nodes.column("temporary")

    @property
    def edge_rows(self) -> Column:
        """The edges as pairs of positions in `ids`, shape (E, 2). A new array."""
        self._settle()
        return np.stack([self._edges.column("u"), self._edges.column("v")], axis=1)

    @property
    def edge_array(self) -> Column:
        """The edges as pairs of ids, shape (E, 2). A new array."""
        return self.ids[self.edge_rows]

    def node_values(self, name: str, missing: Any = MISSING) -> Column:
        """An attribute of all nodes, in the order of `ids`. A new array.

        Parameters
        ----------
        name
            The attribute.
        missing
            What stands in for it where a node has none.

        Raises
        ------
        KeyError
            If no node has it, or some have not and `missing` is not given.
        """
        self._settle()
        return self._nodes.values(name, missing)

    def edge_values(self, name: str, missing: Any = MISSING) -> Column:
        """An attribute of all edges, in the order of `edge_array`; see `node_values`."""
        self._settle()
        return self._edges.values(name, missing)

    @property
    def node_attributes(self) -> list[str]:
        """The names of the attributes that nodes have, besides id, location, temporary."""
        return self._nodes.free_names

    @property
    def edge_attributes(self) -> list[str]:
        """The names of the attributes that edges have."""
        return self._edges.free_names

    # -- as a whole ---------------------------------------------------------------------------

    @property
    def directed(self) -> bool:
        """Whether edges have a direction; they do where the spec does not say."""
        return self.spec.directed is not False

    def num_vertices(self) -> int:
        """The number of nodes."""
        return len(self._nodes) - self._nodes.removed

    def num_edges(self) -> int:
        """The number of edges."""
        return len(self._edges) - self._edges.removed

    def in_degree(self) -> Degrees:
        """How many edges lead to each node: pairs (id, number), or a look-up by id.

        In an undirected graph, how many edges each node has.
        """
        rows = self.edge_rows
        ends = rows[:, 1] if self.directed else rows.ravel()
        counts = np.bincount(ends, minlength=self.num_vertices())
        return Degrees(zip(self.ids.tolist(), counts.tolist(), strict=True))

    @property
    def connected_components(self) -> Iterator[set[int]]:
        """The ids of the nodes that hang together, whatever the direction of the edges."""
        labels = ops.components(self.num_vertices(), self.edge_rows)
        order = np.argsort(labels, kind="stable")
        borders = np.flatnonzero(np.diff(labels[order])) + 1
        for part in np.split(self.ids[order], borders) if len(order) else []:
            yield set(part.tolist())

    def relabel_connected_components(self) -> None:
        """Give each node the attribute `component`: the number of its connected component."""
        labels = ops.components(self.num_vertices(), self.edge_rows)
        self._nodes.set_column("component", labels)

    def copy(self) -> Self:
        """A copy that shares nothing with this graph."""
        return self.select(np.ones(self.num_vertices(), np.bool_))

    def shift(self, offset: Any) -> None:
        """Move all nodes, in place, by a Coordinate or one number for each dimension (world)."""
        locations = self.locations
        self.locations = locations + ops.as_offset(offset, locations.shape[1])

    def map_locations(self, function: Callable[[Column], Column]) -> None:
        """Move all nodes at once, in place.

        Parameters
        ----------
        function
            Gets the locations, float64 (N, dims), and gives as many new ones.

        Raises
        ------
        ValueError
            If it gives another shape.
        """
        self.locations = function(self.locations.astype(np.float64))

    # -- regions ------------------------------------------------------------------------------

    def inside(self, roi: Any) -> Column:
        """Which nodes lie in a region (world units), in the order of `ids`, shape (N,)."""
        return ops.inside(self.locations, roi)

    def crossing(self, roi: Any) -> Column:
        """Which edges have exactly one end in a region, in the order of `edge_array`."""
        held = self.inside(roi)[self.edge_rows]
        crossing: Column = held[:, 0] != held[:, 1]
        return crossing

    def select(self, which: ArrayLike) -> Self:
        """A new graph of some nodes and the edges between them; all is copied.

        Parameters
        ----------
        which
            Booleans in the order of `ids`, shape (N,).
        """
        chosen = self._mask(which)
        rows = self.edge_rows
        return self._part(chosen, np.all(chosen[rows], axis=1), self.spec.roi)

    def remove_nodes(self, which: ArrayLike) -> None:
        """Remove many nodes and their edges at once.

        Parameters
        ----------
        which
            Booleans in the order of `ids`, shape (N,): True where a node goes.
        """
        rest = self.select(~self._mask(which))
        self._nodes, self._edges = rest._nodes, rest._edges
        self._renumbered()

    def crop(self, roi: Any, *, crossing: Literal["keep", "clip", "drop"] = "keep") -> Self:
        """A new graph of what lies in a region; all is copied.

        Parameters
        ----------
        roi
            The region, in world units; that of the new graph's spec.
        crossing
            What becomes of edges that have one end in the region (see `crossing` for
            which they are). "keep": they stay, and with them their outer ends, the dangling
            nodes. "clip": they end in temporary nodes on the face of the region, see `trim`.
            "drop": they go.

        Raises
        ------
        ValueError
            If the region has another number of dimensions than the graph.
        """
        if crossing not in ("keep", "clip", "drop"):
            raise ValueError(f"crossing is 'keep', 'clip' or 'drop', got {crossing!r}")
        region = Roi.like(roi)
        held = self.inside(region)
        rows = self.edge_rows
        if crossing == "drop":
            return self._part(held, np.all(held[rows], axis=1), region)
        kept = np.any(held[rows], axis=1)
        held[rows[kept]] = True
        cropped = self._part(held, kept, region)
        return cropped.trim(region) if crossing == "clip" else cropped

    def trim(self, roi: Any) -> Self:
        """A new graph that ends at the faces of a region; all is copied.

        Each edge that leaves the region is cut there. It then ends in a temporary node of a new id
        (the largest plus 1, and so on) with the attributes of the node outside, and has no
        attributes itself. Nodes outside go, and so does an edge whose inner end lies where it
        would be cut. Temporary nodes lie inside: on an upper face, which is outside, in the last
        place before it that the dtype of the locations can tell.

        Parameters
        ----------
        roi
            The region, in world units. The spec of the new graph keeps its own.

        Raises
        ------
        ValueError
            If the region has another number of dimensions than the graph.
        """
        return trimmed(self, Roi.like(roi))

    def stray(self, roi: Any) -> str | None:
        """Say what a graph for a region must not hold: an edge with both ends outside; or None."""
        if roi is None:
            return None
        rows = self.edge_rows
        outside = np.flatnonzero(~self.inside(roi)[rows].any(axis=1))
        if not len(outside):
            return None
        u, v = self.ids[rows[outside[0]]].tolist()
        places = self.locations[rows[outside[0]]].tolist()
        return (
            f"{len(outside)} edges have no end in {roi}, the first from node {u} at {places[0]} to "
            f"node {v} at {places[1]} (world units); crop the graph"
        )

    # -- rows ---------------------------------------------------------------------------------

    def _mask(self, which: ArrayLike) -> Column:
        mask = np.asarray(which)
        if mask.dtype != np.bool_ or mask.shape != (self.num_vertices(),):
            raise ValueError(
                f"nodes are chosen by booleans of shape ({self.num_vertices()},), "
                f"got {mask.dtype} of shape {mask.shape}"
            )
        return mask

    def _part(self, nodes: Column, edges: Column, roi: Roi | None) -> Self:
        """A new graph of some nodes and some of the edges between them, both as booleans."""
        links = self._edges.take(edges)
        renumbered = np.cumsum(nodes) - 1
        for end in "uv":
            column = links.column(end)
            column[:] = renumbered[column]
        return self._with(self._nodes.take(nodes), links, roi)

    def _with(self, nodes: Table, edges: Table, roi: Roi | None) -> Self:
        new = object.__new__(type(self))
        new.spec = self.spec.copy()
        new.spec.roi = roi
        new._nodes, new._edges = nodes, edges
        new._layout = 0
        new._rows = new._links = None
        return new

    def _settle(self) -> int:
        """Clear removed rows away. Give the number of the layout."""
        if self._nodes.removed:
            renumbered = np.cumsum(self._nodes.alive()) - 1
            self._edges = self._edges.compact()
            for end in "uv":
                column = self._edges.column(end)
                column[:] = renumbered[column]
            self._nodes = self._nodes.compact()
            self._renumbered()
        elif self._edges.removed:
            self._edges = self._edges.compact()
            self._renumbered()
        return self._layout

    def _renumbered(self) -> None:
        self._layout += 1
        self._rows = self._links = None

    def _index(self) -> dict[int, int]:
        """The row of each id."""
        if self._rows is None:
            self._rows = dict(zip(self.ids.tolist(), range(len(self._nodes)), strict=True))
        return self._rows

    def _row(self, node_id: int) -> int:
        try:
            return self._index()[node_id]
        except KeyError:
            raise KeyError(
                f"there is no node {node_id} in this graph of {self.num_vertices()} nodes"
            ) from None

    def _edge_row(self, u: int, v: int) -> int:
        row = self._link().find(self._row(u), self._row(v))
        if row is None:
            raise KeyError(
                f"there is no edge from {u} to {v} in this graph of {self.num_edges()} edges"
            )
        return row

    def _link(self) -> Links:
        """The edges by their ends. Edges that are there twice become one."""
        if self._links is None or self._links.directed is not self.directed:
            links = Links(self.directed)
            table = self._edges
            rows = np.flatnonzero(table.alive())
            ends = (table.column("u")[rows].tolist(), table.column("v")[rows].tolist())
            for row, known in links.add_all(zip(*ends, rows.tolist(), strict=True)):
                for name in set(table.names(row)) - {"u", "v"}:
                    table.write(known, name, table.read(row, name))
                table.remove(row)
            self._links = links
        return self._links

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rows": None, "_links": None}
