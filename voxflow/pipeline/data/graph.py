"""Points and skeletons: nodes with locations in the world, and the edges between them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from voxflow.pipeline.data import graph_ids
from voxflow.pipeline.data import graph_ops as ops
from voxflow.pipeline.data.graph_arrays import GraphArrays
from voxflow.pipeline.data.graph_networkx import from_networkx, to_networkx
from voxflow.pipeline.data.node import EDGE_FIELDS, NODE_FIELDS, Edge, EdgeRow, Node, NodeRow
from voxflow.pipeline.data.table import Column, as_column, gather

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from voxflow.pipeline.data.spec import GraphSpec


class Graph(GraphArrays):
    """Nodes with ids and locations, edges between them, and attributes of both.

    All is kept in arrays, to be worked on as a whole: `ids`, `locations`, `edge_array`. Nodes and
    edges that come out of a graph are views on those: what is set on a node is set in the graph.

    Parameters
    ----------
    nodes
        The nodes, in any iterable. They are copied; ids are integers up to 2**64 - 1.
    edges
        The edges, or pairs of ids, in any iterable. One that is there twice counts once.
    spec
        Where the graph lies, and whether its edges have a direction (None: they do). Kept,
        not copied. Locations take its dtype.

    Raises
    ------
    KeyError
        If an edge leads to a node that is not there.
    ValueError
        If an id belongs to two nodes, or locations differ in their number of
        dimensions, from each other or from the roi.

    Examples
    --------
    >>> from voxflow.pipeline.data.spec import GraphSpec
    >>> from voxflow.pipeline.geometry import Roi
    >>> spec = GraphSpec(Roi((0, 0), (10, 10)))
    >>> graph = Graph([Node(1, (2, 2)), Node(2, (8, 2))], [Edge(1, 2)], spec)
    >>> graph.node(2).location = (8, 4)
    >>> graph.locations.tolist(), graph.edge_array.tolist()
    ([[2.0, 2.0], [8.0, 4.0]], [[1, 2]])
    >>> graph.crop(Roi((0, 0), (5, 5)), crossing="clip").locations.tolist()
    [[2.0, 2.0], [4.99..., 3.0]]
    """

    def __init__(
        self, nodes: Iterable[Node], edges: Iterable[Edge | Iterable[int]], spec: GraphSpec
    ) -> None:
        nodes = list(nodes)
        links = [_as_edge(edge) for edge in edges]
        ids = graph_ids.as_ids(node.id for node in nodes)
        places = [node.location for node in nodes]
        lengths = {len(place) for place in places}
        if len(lengths) > 1:
            raise ValueError(f"nodes have locations of {sorted(lengths)} dimensions in one graph")
        ends = graph_ids.as_ids(end for edge in links for end in edge).reshape(-1, 2)
        free = gather((node.attrs for node in nodes), len(nodes), NODE_FIELDS)
        edge_free = gather((edge.attrs for edge in links), len(links), EDGE_FIELDS)
        temporary = np.array([node.temporary for node in nodes], np.bool_)
        self._fill(ids, np.array(places or ()), temporary, ends, spec, free, edge_free)

    @classmethod
    def from_arrays(
        cls,
        ids: ArrayLike,
        locations: ArrayLike,
        edges: ArrayLike,
        spec: GraphSpec,
        node_attrs: Mapping[str, Any] | None = None,
        edge_attrs: Mapping[str, Any] | None = None,
        temporary: ArrayLike | None = None,
    ) -> Graph:
        """A graph of arrays, without a node object in between.

        Parameters
        ----------
        ids
            Integers, shape (N,).
        locations
            World units, shape (N, dims).
        edges
            Pairs of ids, shape (E, 2).
        spec
            Where the graph lies. Kept, not copied.
        node_attrs
            Attributes of nodes by name, each with N entries.
        edge_attrs
            Attributes of edges by name, each with E entries.
        temporary
            Which nodes are temporary, shape (N,); None: none is.

        Raises
        ------
        KeyError
            If an edge leads to a node that is not there.
        ValueError
            If shapes do not fit each other or the roi, or an id is there twice.

        Examples
        --------
        >>> from voxflow.pipeline.data.spec import GraphSpec
        >>> graph = Graph.from_arrays(
        ...     [1, 2], [[0, 0], [5, 5]], [[1, 2]], GraphSpec(), node_attrs={"radius": [2, 3]}
        ... )
        >>> graph.node(2).radius, graph.num_edges()
        (3, 1)
        """
        own = graph_ids.as_ids(ids)
        if own.ndim != 1:
            raise ValueError(f"ids have the shape {own.shape}, expected (N,)")
        count = len(own)
        ends = ops.as_pairs(edges)
        free = {k: as_column(k, v, count) for k, v in (node_attrs or {}).items()}
        edge_free = {k: as_column(k, v, len(ends)) for k, v in (edge_attrs or {}).items()}
        for name in (*NODE_FIELDS & free.keys(), *EDGE_FIELDS & edge_free.keys()):
            raise ValueError(f"{name!r} has its own place and cannot be an attribute")
        flags = np.zeros(count, np.bool_) if temporary is None else np.array(temporary, np.bool_)
        graph = object.__new__(cls)
        graph._fill(own, np.asarray(locations), flags, ends, spec, free, edge_free)
        return graph

    # -- as nodes and edges -------------------------------------------------------------------

    @property
    def nodes(self) -> Iterator[Node]:
        """The nodes, as views, in the order in which they were added."""
        layout = self._settle()
        for row, node_id in enumerate(self.ids.tolist()):
            if self._layout == layout:
                if self._nodes.is_alive(row):
                    yield Node._view(NodeRow(self, node_id, row, layout))
            elif self.contains(node_id):
                yield self.node(node_id)

    @property
    def edges(self) -> Iterator[Edge]:
        """The edges, as views, in the order in which they were added."""
        layout = self._settle()
        for row, (u, v) in enumerate(self.edge_array.tolist()):
            if self._layout == layout:
                if self._edges.is_alive(row):
                    yield Edge(u, v, EdgeRow(self, (u, v), row, layout))
            elif self.contains(u) and self.contains(v) and v in self.successors(u):
                yield self.edge((u, v))

    def node(self, id: int) -> Node:
        """The node of an id, as a view. KeyError if there is none."""
        return Node._view(NodeRow(self, int(id), self._row(id), self._layout))

    def edge(self, id: Edge | Iterable[int]) -> Edge:
        """The edge between two ids, as a view. KeyError if there is none."""
        row = self._edge_row(*id)
        ids = self._nodes.column("id")
        u, v = (int(ids[self._edges.column(end)[row]]) for end in ("u", "v"))
        return Edge(u, v, EdgeRow(self, (u, v), row, self._layout))

    def contains(self, node_id: int | Node) -> bool:
        """Whether there is a node of an id."""
        return _id_of(node_id) in self._index()

    def neighbors(self, node: Node | int) -> Iterator[Node]:
        """The nodes that edges link to a node, each once: first its successors, as views."""
        row = self._row(_id_of(node))
        links = self._link()
        ids = self._nodes.column("id")
        for other in {**links.after(row), **links.before(row)}:
            yield self.node(int(ids[other]))

    def successors(self, node: Node | int) -> Iterator[int]:
        """The ids of the nodes that edges from a node lead to; undirected: of all neighbours."""
        after = self._link().after(self._row(_id_of(node)))
        return iter([int(self._nodes.column("id")[row]) for row in after])

    def predecessors(self, node: Node | int) -> Iterator[int]:
        """The ids of the nodes that edges to a node come from; undirected: of all neighbours."""
        before = self._link().before(self._row(_id_of(node)))
        return iter([int(self._nodes.column("id")[row]) for row in before])

    # -- edits --------------------------------------------------------------------------------

    def add_node(self, node: Node) -> None:
        """Add a node. If there is one of that id, it takes over the attributes of the new one.

        Raises
        ------
        ValueError
            If its location has another number of dimensions than the others.
        """
        node_id = operator.index(node.id)
        values = {**node.attrs, "id": node_id}
        values["location"] = self._fitting(node.location)
        rows = self._index()
        if node_id in rows:
            for name in values.keys() - {"id"}:
                self._nodes.write(rows[node_id], name, values[name])
            return
        self._make_room_for(node_id)
        rows[node_id] = self._nodes.append(values)

    def remove_node(self, node: Node | int, retain_connectivity: bool = False) -> None:
        """Remove a node and its edges.

        Parameters
        ----------
        node
            The node, or its id. A view that is given becomes a value of its own.
        retain_connectivity
            Whether edges from each of its predecessors to each of its
            successors take its place.
        """
        node_id = _id_of(node)
        row = self._row(node_id)
        if isinstance(node, Node):
            node._detach()
        links = self._link()
        before = [other for other in links.before(row) if other != row]
        after = [other for other in links.after(row) if other != row]
        if retain_connectivity:
            for u in before:
                for v in after:
                    if u != v and links.find(u, v) is None:
                        links.add(u, v, self._edges.append({"u": u, "v": v}))
        for edge in links.drop_node(row):
            self._edges.remove(edge)
        self._nodes.remove(row)
        del self._index()[node_id]

    def add_edge(self, edge: Edge | Iterable[int]) -> None:
        """Add an edge. If it is there, it takes over the attributes of the new one.

        Raises
        ------
        KeyError
            If one of its nodes is not there.
        """
        new = _as_edge(edge)
        u, v = self._row(new.u), self._row(new.v)
        row = self._link().find(u, v)
        if row is None:
            self._link().add(u, v, self._edges.append({**new.attrs, "u": u, "v": v}))
            return
        for name, value in new.attrs.items():
            self._edges.write(row, name, value)

    def remove_edge(self, edge: Edge | Iterable[int]) -> None:
        """Remove an edge. KeyError if it is not there."""
        u, v = edge
        self._edges.remove(self._edge_row(u, v))
        self._link().drop(self._row(u), self._row(v))

    def merge(self, other: Graph, copy_from_self: bool = False, copy: bool = False) -> NoReturn:
        """Not available: graphs are replaced, not merged."""
        raise NotImplementedError("graphs of one key cannot be merged; replace the graph instead")

    def new_graph(self) -> Graph:
        """An empty graph with a copy of this one's spec."""
        return Graph([], [], self.spec.copy())

    def _fitting(self, location: Column) -> Column:
        """A location as this graph keeps them."""
        own = self._nodes.column("location")
        if own.shape[1] != len(location) and not self.num_vertices() and self.spec.roi is None:
            # An empty graph without a region learns its dimensions from its first node.
            self._settle()
            self._nodes.set_column("location", np.empty((0, len(location)), own.dtype))
            own = self._nodes.column("location")
        fitting: Column = ops.as_locations(location[None], own.dtype, own.shape[1])[0]
        return fitting

    def _set_location(self, row: int, location: Column) -> None:
        self._nodes.write(row, "location", self._fitting(location))

    def _make_room_for(self, node_id: int) -> None:
        """Widen the ids where a new one does not fit their dtype."""
        ids = self._nodes.column("id")
        least, most = (-(2**63), 2**63 - 1) if ids.dtype == np.int64 else (0, 2**64 - 1)
        if not least <= node_id <= most:
            self._nodes.set_column("id", graph_ids.as_ids([*ids.tolist(), node_id])[:-1])

    # -- elsewhere ----------------------------------------------------------------------------

    def to_nx_graph(self) -> Any:
        """A networkx DiGraph, or Graph if undirected: a copy with all attributes.

        Raises
        ------
        ImportError
            If networkx is not installed.
        """
        return to_networkx(self)

    @classmethod
    def from_nx_graph(cls, graph: Any, spec: GraphSpec) -> Graph:
        """A graph of a networkx graph, which is copied.

        Parameters
        ----------
        graph
            Its nodes need a `location` each; their ids are the keys of the graph.
        spec
            Kept, not copied. Its `directed` is set if it is None.

        Raises
        ------
        ValueError
            If nodes have no location.
        """
        nodes, edges = from_networkx(graph)
        if spec.directed is None:
            spec.directed = graph.is_directed()
        return cls(nodes, edges, spec)

    def __str__(self) -> str:
        lines = ["Vertices:", *map(str, self.nodes), "Edges:", *map(str, self.edges)]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        return f"<Graph of {self.num_vertices()} nodes, {self.num_edges()} edges; {self.spec}>"


def _id_of(node: Node | int) -> int:
    return node.id if isinstance(node, Node) else node


def _as_edge(edge: Edge | Iterable[int]) -> Edge:
    if isinstance(edge, Edge):
        return edge
    u, v = edge
    return Edge(u, v)
