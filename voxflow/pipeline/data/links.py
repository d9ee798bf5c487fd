"""Which rows of a graph's nodes are linked, for looking up and editing single edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

_Ends = dict[int, dict[int, int]]
_NONE: Mapping[int, int] = {}


class Links:
    """The edges by their ends.

    Parameters
    ----------
    directed
        Whether (u, v) and (v, u) are two edges.
    """

    __slots__ = ("_after", "_before", "directed")

    def __init__(self, directed: bool) -> None:
        self.directed = directed
        self._after: _Ends = {}
        self._before: _Ends = {} if directed else self._after

    def add(self, u: int, v: int, edge: int) -> None:
        """Note an edge: its ends and its row."""
        self._after.setdefault(u, {})[v] = edge
        self._before.setdefault(v, {})[u] = edge

    def add_all(self, edges: Iterable[tuple[int, int, int]]) -> list[tuple[int, int]]:
        """Note many edges (u, v, row). Give those that were there, as (row, first row)."""
        again = []
        for u, v, edge in edges:
            known = self.find(u, v)
            if known is None:
                self.add(u, v, edge)
            else:
                again.append((edge, known))
        return again

    def find(self, u: int, v: int) -> int | None:
        """The row of the edge between two nodes, or None."""
        return self._after.get(u, _NONE).get(v)

    def after(self, row: int) -> Mapping[int, int]:
        """The successors of a node, each with the row of the edge."""
        return self._after.get(row, _NONE)

    def before(self, row: int) -> Mapping[int, int]:
        """The predecessors of a node, each with the row of the edge."""
        return self._before.get(row, _NONE)

    def drop(self, u: int, v: int) -> None:
        """Forget an edge."""
        del self._after[u][v]
        # An undirected loop is noted only once.
        self._before[v].pop(u, None)

    def drop_node(self, row: int) -> list[int]:
        """Forget all edges of a node. Give their rows."""
        edges = {edge: (row, other) for other, edge in self.after(row).items()}
        edges.update({edge: (other, row) for other, edge in self.before(row).items()})
        for u, v in edges.values():
            self.drop(u, v)
        return list(edges)


class Degrees:
    """How many edges each node has: iterates as pairs (id, number), looks up by id."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Iterable[tuple[int, int]]) -> None:
        self._numbers = dict(numbers)

    def __getitem__(self, node_id: int) -> int:
        return self._numbers[node_id]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._numbers.items())

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return f"Degrees({self._numbers})"
