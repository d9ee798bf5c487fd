"""The graphs of all blocks of a volume, and the segments that their fragments are joined to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from voxflow.pipeline.compiled import kernel
from voxflow.segmentation.scratch import Scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from voxflow.segmentation.block import Block
    from voxflow.segmentation.region_graph import RegionGraph

__all__ = ["Graphs", "Joined", "Place", "in_runs"]

_RUN = 1 << 14
"""Segments that are told of at a time."""

Place = tuple[int, ...]
"""The how-manieth a block is along each axis."""


class Graphs(NamedTuple):
    """The graphs of all blocks of a volume, in files or in memory."""

    block: tuple[int, ...]
    """Shape of a block, in voxels; those at the end of the volume may be smaller."""
    volume: tuple[int, ...]
    """Shape of the volume, in voxels."""
    read: Callable[[Place, str], npt.NDArray[Any]]
    """Reads a part of a `RegionGraph`: the place of the block, and the name of the part."""
    folder: Path | None = None
    """Where there is room for what does not have to be in memory."""

    @classmethod
    def of_one(cls, block: Block, graph: RegionGraph) -> Graphs:
        """The graph of a volume that is one block."""
        return cls(block.volume, block.volume, lambda _, name: getattr(graph, name))

    @property
    def counts(self) -> Place:
        """How many blocks there are along each axis."""
        return tuple(-(-n // side) for n, side in zip(self.volume, self.block, strict=True))

    @property
    def scratch(self) -> Scratch:
        """Makes arrays that do not have to be in memory."""
        return Scratch(self.folder)

    def within(
        self, fragments: npt.NDArray[np.uint64], box: tuple[range, ...]
    ) -> npt.NDArray[np.bool_]:
        """Which fragments lie in a box of blocks: a fragment is named after its first voxel."""
        ends = np.multiply([(axis.start, axis.stop) for axis in box], np.array([self.block]).T)
        found = self.scratch.empty(len(fragments), bool)
        _within(fragments, np.array(self.volume), ends, found)
        return found


@kernel
def _within(fragments: Any, volume: Any, ends: Any, found: Any) -> None:
    for i in range(fragments.size):
        voxel, found[i] = np.int64(fragments[i] - np.uint64(1)), True
        for axis in range(volume.size - 1, -1, -1):
            voxel, at = voxel // volume[axis], voxel % volume[axis]
            found[i] &= ends[axis, 0] <= at < ends[axis, 1]


class Joined(NamedTuple):
    """Which segment each fragment of a volume belongs to; each part can be gone through once."""

    segments: Iterable[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]
    """Names, and how many voxels each of them has: some segments at a time. A segment is named
    after its first voxel, as the fragment is that has it."""
    blocks: Iterable[tuple[Place, npt.NDArray[np.uint64]]]
    """Of each block, the name of the segment of each of its fragments."""


def in_runs(*arrays: npt.NDArray[Any]) -> Iterator[Any]:
    """Arrays of equal lengths, some entries at a time."""
    for begin in range(0, len(arrays[0]), _RUN):
        yield tuple(values[begin : begin + _RUN] for values in arrays)
