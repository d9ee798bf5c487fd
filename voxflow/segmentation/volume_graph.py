"""The graphs of all blocks of a volume, whose fragments are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.clusters import root

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxflow.segmentation.region_graph import RegionGraph

__all__ = ["Graphs", "Joined", "Numbering", "named"]


class Graphs(NamedTuple):
    """The graphs of all blocks of a volume, in files or in memory."""

    counts: tuple[int, ...]
    """How many blocks there are along each axis."""
    read: Callable[[tuple[int, ...], str], npt.NDArray[Any]]
    """Reads a part of a `RegionGraph`: the place of the block, and the name of the part."""

    @classmethod
    def of_one(cls, graph: RegionGraph) -> Graphs:
        """The graph of a volume that is one block."""
        return cls((1,), lambda _, name: getattr(graph, name))


class Joined(NamedTuple):
    """Which segment each fragment of a volume belongs to."""

    fragments: npt.NDArray[np.uint64]
    """Ids, each once."""
    sizes: npt.NDArray[np.int64]
    """How many voxels each one has."""
    segments: npt.NDArray[np.uint64]
    """Of each one, the smallest id of the fragments of its segment."""


class Numbering:
    """Numbers the fragments of a volume, block by block.

    Parameters
    ----------
    graphs
        Of all blocks.
    places
        Of the blocks, in the order in which their fragments are numbered.

    Attributes
    ----------
    ids
        Of each number.
    order
        The numbers, in the order of their ids.
    """

    def __init__(self, graphs: Graphs, places: Sequence[tuple[int, ...]]) -> None:
        self._read = graphs.read
        parts = [graphs.read(place, "fragments") for place in places]
        self.ids: npt.NDArray[np.uint64] = np.concatenate(parts)
        if len(self.ids) >= 2**31:
            raise ValueError(
                f"there are {len(self.ids)} fragments, and 2^31 - 1 at most can be joined: take "
                "larger blocks, or fewer far affinities (stride=)"
            )
        self.sizes = np.concatenate([graphs.read(place, "sizes") for place in places])
        ends = np.cumsum([len(part) for part in parts]).tolist()
        self.span = dict(zip(places, zip([0, *ends], ends, strict=False), strict=True))
        self.order = np.argsort(self.ids).astype(np.int32)
        self._sorted = self.ids[self.order]

    def ends(self, place: tuple[int, ...]) -> npt.NDArray[np.int32]:
        """Between which numbers the edges of a block lie, shape (edges, 2).

        Raises
        ------
        ValueError
            If there is an edge to a fragment that is not there.
        """
        outside = self._read(place, "outside")
        at = np.searchsorted(self._sorted, outside)
        if not np.array_equal(self._sorted[at[at < len(self.ids)]], outside):
            raise ValueError("there is an edge to a fragment that has no voxels in any block")
        numbers = np.concatenate([np.arange(*self.span[place], dtype=np.int32), self.order[at]])
        found: npt.NDArray[np.int32] = numbers[self._read(place, "ends")]
        return found


def named(parent: npt.NDArray[np.int32], ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Name each tree of numbers by the smallest of their ids."""
    names = ids.copy()
    _name(parent, names)
    return names


@kernel
def _name(parent: Any, names: Any) -> None:
    for i in range(parent.size):
        at = root(parent, i)
        names[at] = min(names[at], names[i])
    for i in range(parent.size):
        names[i] = names[root(parent, i)]
