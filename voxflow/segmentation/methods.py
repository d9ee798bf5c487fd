"""How affinities become segments: by a mutex watershed, or by connected components."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from voxflow.segmentation.block import as_unit, direct_channels
from voxflow.segmentation.contract import contract
from voxflow.segmentation.region_graph import between_fragments
from voxflow.segmentation.tree import join_by_strongest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.segmentation.block import Block
    from voxflow.segmentation.region_graph import RegionGraph
    from voxflow.segmentation.volume_graph import Graphs, Joined

__all__ = ["Components", "Method", "MutexWatershed"]


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """How affinities become segments.

    A volume is segmented in three steps, each of which sees one block at a time, or the graph of
    all fragments: voxels become *fragments*; the edges between fragments make a *graph*; and
    fragments are *joined* to segments. A method says how.

    Parameters
    ----------
    foreground
        Where the mean affinity to the direct neighbours is below this, there is no object (0 in the
        result). None: there is one everywhere.
    full
        What stands for an affinity of 1. None: 1 for floating point, the largest value of unsigned
        integers.
    """

    final_in_whole: ClassVar[bool] = False
    """Whether the fragments of a block with nothing around it are segments already."""

    foreground: float | None = None
    full: float | None = None

    def reach(self, neighborhood: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many voxels around a block have to be seen, along each axis."""
        reach: npt.NDArray[np.int64] = np.abs(neighborhood).max(axis=0)
        return reach

    def check_block(self, block: Sequence[int], volume: Sequence[int]) -> None:  # noqa: B027
        """Raise if a volume cannot be segmented in blocks of this shape (voxels)."""

    def prepared(self, block: Block) -> tuple[Block, npt.NDArray[np.float32]]:
        """The block without its background, and its affinities from 0 to 1."""
        unit = as_unit(block.affinities, self.full)
        if self.foreground is None:
            return block, unit
        direct = direct_channels(block.neighborhood)
        if not direct.any():
            raise ValueError(
                "foreground is told from the affinities of direct neighbours, and there are none "
                f"among {block.neighborhood.tolist()}; give a mask instead"
            )
        there = unit[direct].mean(axis=0) >= self.foreground
        return replace(block, alive=block.alive & there), unit

    @abstractmethod
    def fragments(self, block: Block) -> npt.NDArray[np.uint64]:
        """The fragments of the block's own part.

        A fragment is named 1 + the number of its first voxel in the volume; 0: no object.
        """

    @abstractmethod
    def graph(self, block: Block, fragments: npt.NDArray[np.uint64]) -> RegionGraph:
        """The edges between fragments that begin in the block's own part.

        Where `join` asks for that, also those that end there.
        """

    @abstractmethod
    def join(self, graphs: Graphs) -> Joined:
        """Which segment each fragment of a volume belongs to, by the graphs of its blocks."""


@dataclass(frozen=True, kw_only=True)
class _ByStrongest(Method):
    """Methods that look at edges one by one, the strongest first."""

    final_in_whole: ClassVar[bool] = True

    def weights(self, unit: npt.NDArray[np.float32], block: Block) -> npt.NDArray[np.float32]:
        """Above 0 what joins, below 0 what keeps apart; may be made in place."""
        raise NotImplementedError

    def fragments(self, block: Block) -> npt.NDArray[np.uint64]:
        """What is surely in one segment, whatever lies outside; in a whole volume, the segments."""
        block, unit = self.prepared(block)
        return contract(block, self.weights(unit, block))

    def graph(self, block: Block, fragments: npt.NDArray[np.uint64]) -> RegionGraph:
        """The strongest edge of each pair of fragments."""
        block, unit = self.prepared(block)
        return between_fragments(block, self.weights(unit, block), fragments, ending=True)

    def join(self, graphs: Graphs) -> Joined:
        """Take the edges, the strongest first."""
        return join_by_strongest(graphs)


@dataclass(frozen=True, kw_only=True)
class MutexWatershed(_ByStrongest):
    """Believe the strongest affinity first.

    An affinity above its bias joins two voxels, one below keeps them apart, the more so the further
    away. Edges are taken in the order of that strength: two segments are joined unless an earlier
    edge keeps them apart (Wolf et al., 2018, https://doi.org/10.1007/978-3-030-01225-0_34). Of
    equally strong ones, the first counts, channel by channel and voxel by voxel.

    Blockwise, the result is the same, to the voxel, for any blocks: within a block only what
    nothing outside can change is joined, the rest in the graph of all fragments.

    Parameters
    ----------
    bias
        Of direct neighbours, between 0 and 1. A higher one gives more and smaller segments.
    long_bias
        Of the others; None: the same.
    stride
        Affinities of others than direct neighbours are looked at only at every so-many-th voxel
        along each axis (one number for all, or one for each). That takes less time and memory, and
        splits less.

    Examples
    --------
    >>> from voxflow.segmentation import segment
    >>> affinities = np.array([[0, 0.9, 0.2, 0.9, 0.8], [0, 0, 0.1, 0.1, 0.6]])
    >>> segment(affinities, MutexWatershed(), neighborhood=[[-1], [-2]])
    array([1, 1, 2, 2, 2], dtype=uint64)
    """

    bias: float = 0.5
    long_bias: float | None = None
    stride: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        steps = self.stride if isinstance(self.stride, tuple) else (self.stride,)
        if min(steps) < 1:
            raise ValueError(f"stride is 1 or more along each axis, got {self.stride}")

    def weights(self, unit: npt.NDArray[np.float32], block: Block) -> npt.NDArray[np.float32]:
        """By how much affinities are above their bias."""
        direct = direct_channels(block.neighborhood)
        far = self.bias if self.long_bias is None else self.long_bias
        for channel, near in zip(unit, direct, strict=True):
            channel -= np.float32(self.bias if near else far)
            if not near:
                _keep_every(channel, self.stride, block.begin)
        return unit


def _keep_every(
    channel: npt.NDArray[Any], stride: int | tuple[int, ...], begin: tuple[int, ...]
) -> None:
    """Put 0 where not all coordinates in the volume are multiples of the stride."""
    steps = stride if isinstance(stride, tuple) else (stride,) * channel.ndim
    if len(steps) != channel.ndim:
        raise ValueError(f"stride has {len(steps)} entries, the volume {channel.ndim} axes")
    for axis, (step, first) in enumerate(zip(steps, begin, strict=True)):
        left_out = (np.arange(channel.shape[axis]) + first) % step != 0
        channel[(slice(None),) * axis + (left_out,)] = 0


@dataclass(frozen=True, kw_only=True)
class Components(_ByStrongest):
    """Connected components: direct neighbours with an affinity above a threshold are joined.

    Blockwise, the result is the same, to the voxel, for any blocks.

    Parameters
    ----------
    threshold
        Between 0 and 1.
    """

    threshold: float = 0.5

    def weights(self, unit: npt.NDArray[np.float32], block: Block) -> npt.NDArray[np.float32]:
        """By how much affinities are above the threshold; 0 for all others."""
        unit -= np.float32(self.threshold)
        unit[~direct_channels(block.neighborhood)] = 0
        return np.maximum(unit, 0, out=unit)
