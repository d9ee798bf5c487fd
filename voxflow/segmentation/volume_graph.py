"""The graphs of all blocks of a volume, and the segments that their fragments are joined to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from voxflow.segmentation.block import Block
    from voxflow.segmentation.region_graph import RegionGraph

__all__ = ["Graphs", "Joined", "Place"]

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
    """Where there is room for what does not have to be in memory; None: for temporary files."""

    @classmethod
    def of_one(cls, block: Block, graph: RegionGraph) -> Graphs:
        """The graph of a volume that is one block."""
        return cls(block.volume, block.volume, lambda _, name: getattr(graph, name))

    @property
    def counts(self) -> Place:
        """How many blocks there are along each axis."""
        return tuple(-(-n // side) for n, side in zip(self.volume, self.block, strict=True))

    def within(
        self, fragments: npt.NDArray[np.uint64], box: tuple[range, ...]
    ) -> npt.NDArray[np.bool_]:
        """Which fragments lie in a box of blocks: a fragment is named after its first voxel."""
        voxels = np.unravel_index((fragments - np.uint64(1)).astype(np.int64), self.volume)
        found = np.ones(len(fragments), bool)
        for at, side, axis in zip(voxels, self.block, box, strict=True):
            found &= (at >= axis.start * side) & (at < axis.stop * side)
        return found


class Joined(NamedTuple):
    """Which segment each fragment of a volume belongs to; each part can be gone through once."""

    segments: Iterable[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]
    """Names, and how many voxels each of them has: some segments at a time. A segment is named
    after its first voxel, as the fragment is that has it."""
    blocks: Iterable[tuple[Place, npt.NDArray[np.uint64]]]
    """Of each block, the name of the segment of each of its fragments."""
