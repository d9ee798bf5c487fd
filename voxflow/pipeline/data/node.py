"""Nodes and edges: values of their own, or views on the rows of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from voxflow.pipeline.data.graph import Graph

NODE_FIELDS = frozenset({"id", "location", "temporary"})
"""The attributes that every node has."""

Location = np.ndarray[Any, np.dtype[Any]]

EDGE_FIELDS = frozenset({"u", "v"})
"""The names of an edge's ends, which are none of its attributes."""


class Node:
    """A point of a graph: an id, a location, and any other attributes.

    A node that comes out of a graph is a view: what is set on it is set in the graph.

    Parameters
    ----------
    id
        An integer, up to 2**64 - 1.
    location
        World units, one number for each dimension.
    temporary
        Whether the node was made by a pipeline (by `Graph.trim`, where an edge leaves
        the region) and is none of the data's.
    attrs
        Further attributes. The dict is kept, not copied.

    Raises
    ------
    ValueError
        If the location is not a flat sequence of numbers.

    Examples
    --------
    >>> node = Node(3, (10.5, 0), attrs={"radius": 2})
    >>> node.color = "red"
    >>> node.radius, node.color, hasattr(node, "type"), node == Node(3, (0, 0))
    (2, 'red', False, True)
    """

    __slots__ = ("_values",)

    _values: MutableMapping[str, Any]

    def __init__(
        self,
        id: int,
        location: Any,
        temporary: bool = False,
        attrs: dict[str, Any] | None = None,
    ) -> None:
        values = {} if attrs is None else attrs
        values["id"] = id
        values["location"] = as_location(location, id)
        values["temporary"] = temporary
        object.__setattr__(self, "_values", values)

    @classmethod
    def from_attrs(cls, attrs: dict[str, Any]) -> Node:
        """A node of a dict with `id`, `location` and any other attributes.

        Raises
        ------
        KeyError
            If the dict has no `id` or no `location`.
        """
        for name in ("id", "location"):
            if name not in attrs:
                raise KeyError(f"a node needs {name!r}, the attributes are: {', '.join(attrs)}")
        return cls(attrs["id"], attrs["location"], attrs.get("temporary", False), attrs)

    @classmethod
    def _view(cls, values: MutableMapping[str, Any]) -> Node:
        node = object.__new__(cls)
        object.__setattr__(node, "_values", values)
        return node

    def _detach(self) -> None:
        """Make a view a value of its own."""
        values = dict(self._values)
        values["location"] = values["location"].copy()
        object.__setattr__(self, "_values", values)

    @property
    def id(self) -> int:
        """The id; of a node in a graph it cannot be changed."""
        own: int = self._values["id"]
        return own

    @property
    def location(self) -> Location:
        """World units, shape (dims,)."""
        place: Location = self._values["location"]
        return place

    @property
    def temporary(self) -> bool:
        """Whether the node was made by a pipeline and is none of the data's."""
        made: bool = self._values["temporary"]
        return made

    @property
    def attrs(self) -> MutableMapping[str, Any]:
        """All attributes by name, `id`, `location` and `temporary` among them. It can be edited."""
        return self._values

    @property
    def all(self) -> MutableMapping[str, Any]:
        """The same as `attrs`."""
        return self._values

    @property
    def original_id(self) -> int | None:
        """The id, or None if the node is temporary."""
        return None if self.temporary else self.id

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(
                f"node {self._values['id']} has no attribute {name!r}; "
                f"it has {', '.join(self._values)}"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("attrs", "all", "original_id"):
            raise AttributeError(f"{name!r} of a node cannot be replaced; set single attributes")
        if name == "location":
            value = as_location(value, self._values["id"])
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        if name in NODE_FIELDS:
            raise AttributeError(f"a node cannot be without its {name}")
        try:
            del self._values[name]
        except KeyError:
            raise AttributeError(f"node {self._values['id']} has no attribute {name!r}") from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return bool(self._values["id"] == other._values["id"])

    def __hash__(self) -> int:
        return hash(self._values["id"])

    def __reduce__(self) -> tuple[Any, ...]:
        # A view that travels becomes a value: the graph stays where it is.
        return Node.from_attrs, (dict(self._values),)

    def __str__(self) -> str:
        return f"Node({bool(self.temporary)}) ({self.id}) at ({self.location})"

    __repr__ = __str__


class Edge:
    """A link between two nodes, from `u` to `v`.

    An edge that comes out of a graph is a view: its attributes are those in the graph.

    Parameters
    ----------
    u
        The id of the node where the edge begins.
    v
        The id of the node where it ends.
    attrs
        Attributes. The dict is kept, not copied.

    Examples
    --------
    >>> Edge(1, 2) == Edge(1, 2, {"weight": 3}), Edge(1, 2) == Edge(2, 1), Edge(1, 2) == 5
    (True, False, False)
    >>> Edge(1, 2).undirected_eq(Edge(2, 1)), tuple(Edge(1, 2))
    (True, (1, 2))
    """

    __slots__ = ("attrs", "u", "v")

    u: int
    v: int
    attrs: MutableMapping[str, Any]

    def __init__(self, u: int, v: int, attrs: MutableMapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "u", u)
        object.__setattr__(self, "v", v)
        object.__setattr__(self, "attrs", {} if attrs is None else attrs)

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, Any]) -> Edge:
        """An edge of a mapping with `u`, `v` and any attributes.

        Raises
        ------
        KeyError
            If `u` or `v` is missing.
        """
        for name in ("u", "v"):
            if name not in attrs:
                raise KeyError(f"an edge needs {name!r}, the attributes are: {', '.join(attrs)}")
        free = {name: value for name, value in attrs.items() if name not in EDGE_FIELDS}
        return cls(attrs["u"], attrs["v"], free)

    @property
    def all(self) -> dict[str, Any]:
        """A new dict of the attributes, `u` and `v` among them."""
        return {**self.attrs, "u": self.u, "v": self.v}

    def directed_eq(self, other: Edge) -> bool:
        """Whether both lead from the same node to the same node."""
        return self.u == other.u and self.v == other.v

    def undirected_eq(self, other: Edge) -> bool:
        """Whether both link the same nodes, in either direction."""
        return self.directed_eq(other) or (self.u == other.v and self.v == other.u)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name!r} of edge {self} cannot be set; edge.attrs can be edited")

    def __iter__(self) -> Iterator[int]:
        yield self.u
        yield self.v

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Edge):
            return NotImplemented
        return self.directed_eq(other)

    def __hash__(self) -> int:
        return hash((self.u, self.v))

    def __reduce__(self) -> tuple[Any, ...]:
        return Edge, (self.u, self.v, dict(self.attrs))

    def __repr__(self) -> str:
        return f"({self.u}, {self.v})"


def as_location(location: Any, node_id: Any) -> Location:
    """Read the location of one node. ValueError if it is no flat sequence of numbers."""
    try:
        array = np.asarray(location)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        array = np.empty((0, 0), "S")
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ValueError(
            f"the location of node {node_id} has to be one number for each dimension, "
            f"got {location!r}"
        )
    return array


class NodeRow(MutableMapping[str, Any]):
    """The attributes of one node in a graph, read and written in place."""

    __slots__ = ("graph", "id", "layout", "row")

    def __init__(self, graph: Graph, id: int, row: int, layout: int) -> None:
        self.graph = graph
        self.id = id
        self.row = row
        self.layout = layout

    def _find(self) -> int:
        """The node's row. Rows move when removed ones are cleared away."""
        if self.layout != self.graph._layout:
            try:
                self.row = self.graph._row(self.id)
            except KeyError:
                raise AttributeError(f"node {self.id} has been removed from its graph") from None
            self.layout = self.graph._layout
        return self.row

    def __getitem__(self, name: str) -> Any:
        if name == "id":
            return self.id
        return self.graph._nodes.read(self._find(), name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "id":
            if value != self.id:
                raise AttributeError(f"node {self.id} is in a graph, its id cannot become {value}")
        elif name == "location":
            self.graph._set_location(self._find(), value)
        else:
            self.graph._nodes.write(self._find(), name, value)

    def __delitem__(self, name: str) -> None:
        row = self._find()
        self.graph._nodes.read(row, name)
        self.graph._nodes.discard(row, name)

    def __iter__(self) -> Iterator[str]:
        return self.graph._nodes.names(self._find())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


class EdgeRow(MutableMapping[str, Any]):
    """The attributes of one edge in a graph, read and written in place."""

    __slots__ = ("ends", "graph", "layout", "row")

    def __init__(self, graph: Graph, ends: tuple[int, int], row: int, layout: int) -> None:
        self.graph = graph
        self.ends = ends
        self.row = row
        self.layout = layout

    def _find(self) -> int:
        if self.layout != self.graph._layout:
            try:
                self.row = self.graph._edge_row(*self.ends)
            except KeyError:
                raise AttributeError(f"edge {self.ends} has been removed from its graph") from None
            self.layout = self.graph._layout
        return self.row

    def __getitem__(self, name: str) -> Any:
        if name in EDGE_FIELDS:
            raise KeyError(name)
        return self.graph._edges.read(self._find(), name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name in EDGE_FIELDS:
            raise KeyError(f"{name!r} is an end of the edge, no attribute")
        self.graph._edges.write(self._find(), name, value)

    def __delitem__(self, name: str) -> None:
        row = self._find()
        self.graph._edges.read(row, name)
        self.graph._edges.discard(row, name)

    def __iter__(self) -> Iterator[str]:
        names = self.graph._edges.names(self._find())
        return (name for name in names if name not in EDGE_FIELDS)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
