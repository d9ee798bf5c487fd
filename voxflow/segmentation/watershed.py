"""Fragments by a seeded watershed, in tiles, and segments by agglomeration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, maximum_filter

from voxflow.ops.components import connected_components
from voxflow.segmentation.block import direct_channels
from voxflow.segmentation.by_mean import join_by_mean
from voxflow.segmentation.methods import Method
from voxflow.segmentation.region_graph import FIXED, between_fragments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxflow.segmentation.block import Block
    from voxflow.segmentation.region_graph import RegionGraph
    from voxflow.segmentation.volume_graph import Graphs, Joined

__all__ = ["Watershed", "seeded_watershed"]

_MISSING = 'a watershed needs scikit-image: pip install "voxflow[segmentation]"'


def seeded_watershed(
    boundary: npt.NDArray[Any],
    *,
    threshold: float = 0.5,
    distance: float = 0.0,
    seeds: npt.NDArray[Any] | None = None,
    mask: npt.NDArray[Any] | None = None,
    voxel_size: Sequence[float] | None = None,
    in_sections: bool = False,
) -> npt.NDArray[np.int64]:
    """Flood a boundary map from where it is furthest from a boundary.

    Parameters
    ----------
    boundary
        Shape (\\*spatial), two or three axes; high where objects end. A height map of any values,
        if `seeds` are given.
    threshold
        What is below is inside: there the distance to the next voxel that is not is measured, and
        its maxima are the seeds.
    distance
        Maxima have to be so far from the next higher one, along each axis (world units).
    seeds
        Integers, not 0 where an object begins. None: found as above.
    mask
        0 where there is no object.
    voxel_size
        World units. None: 1 along each axis.
    in_sections
        Each section along the first axis by itself.

    Returns
    -------
    numpy.ndarray
        The number of an object at each voxel; 0: none, as outside of the mask, or where no seed is
        connected.

    Raises
    ------
    ImportError
        If scikit-image is not installed.

    Examples
    --------
    >>> boundary = np.array([[0.1, 0.0, 0.9, 0.0, 0.1, 0.2]])
    >>> seeded_watershed(boundary).tolist()
    [[1, 1, 1, 2, 2, 2]]
    """
    try:
        from skimage.segmentation import watershed
    except ModuleNotFoundError as error:
        raise ImportError(_MISSING) from error
    if in_sections:
        return _in_sections(boundary, threshold, distance, seeds, mask, voxel_size)
    alive = np.ones(boundary.shape, bool) if mask is None else np.asarray(mask) != 0
    if seeds is None:
        size = np.ones(boundary.ndim) if voxel_size is None else np.asarray(voxel_size, float)
        seeds = _seeds((boundary < threshold) & alive, distance, size)
    found: npt.NDArray[Any] = watershed(boundary, seeds, mask=alive)
    return found.astype(np.int64)


def _seeds(
    inside: npt.NDArray[np.bool_], distance: float, voxel_size: npt.NDArray[Any]
) -> npt.NDArray[np.int64]:
    """Number the maxima of the distance to what is not inside."""
    if inside.all():  # there is nothing to be far from
        depth = np.ones(inside.shape)
    else:
        depth = distance_transform_edt(inside, sampling=voxel_size)
    width = np.maximum(3, 2 * np.floor(distance / voxel_size).astype(int) + 1)
    peaks = (depth == maximum_filter(depth, size=tuple(width))) & inside
    return connected_components(peaks.astype(np.int64))[0]


def _in_sections(
    boundary: npt.NDArray[Any],
    threshold: float,
    distance: float,
    seeds: npt.NDArray[Any] | None,
    mask: npt.NDArray[Any] | None,
    voxel_size: Sequence[float] | None,
) -> npt.NDArray[np.int64]:
    out, count = np.zeros(boundary.shape, np.int64), 0
    for z, section in enumerate(boundary):
        found = seeded_watershed(
            section,
            threshold=threshold,
            distance=distance,
            seeds=None if seeds is None else seeds[z],
            mask=None if mask is None else mask[z],
            voxel_size=None if voxel_size is None else tuple(voxel_size)[1:],
        )
        there = found > 0
        out[z][there] = found[there] + (count if seeds is None else 0)
        count = max(count, int(out[z].max(initial=0)))
    return out


@dataclass(frozen=True, kw_only=True)
class Watershed(Method):
    """A seeded watershed into fragments, joined while their mean affinity is above a threshold.

    Fragments are made in tiles of the volume, which begin where it begins: in each, the mean
    affinity to direct neighbours is flooded from where it is furthest from what is below
    `seed_threshold`. Then the two fragments with the highest mean affinity between them are joined,
    and so on (hierarchical agglomeration by mean affinity).

    Blockwise, the result is the same, to the voxel, for any blocks that are made of whole tiles; it
    depends on the tiles.

    Parameters
    ----------
    threshold
        Between 0 and 1: fragments are joined while the mean of the affinities between them is above
        this. A higher one gives more and smaller segments.
    seed_threshold
        Affinities above are inside an object, where seeds are looked for.
    seed_distance
        How far apart seeds have to be, along each axis (world units).
    tile
        Shape of a tile in voxels: one number for all axes, or one for each.
    context
        How many voxels around a tile are seen; likewise.
    in_sections
        Whether fragments lie in one section each, as in sections that are thick.
    """

    threshold: float = 0.5
    seed_threshold: float = 0.5
    seed_distance: float = 0.0
    tile: int | tuple[int, ...] = 64
    context: int | tuple[int, ...] = 16
    in_sections: bool = False

    def reach(self, neighborhood: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many voxels around a block have to be seen, along each axis."""
        dims = neighborhood.shape[1]
        context = np.array(_each(self.context, dims, "context"))
        reach: npt.NDArray[np.int64] = np.maximum(super().reach(neighborhood), context)
        return reach

    def check_block(self, block: Sequence[int], volume: Sequence[int]) -> None:
        """Raise if a block is not made of whole tiles."""
        tile = _each(self.tile, len(block), "tile")
        for size, side, extent in zip(block, tile, volume, strict=True):
            if size % side and size < extent:
                raise ValueError(
                    f"blocks of {tuple(block)} voxels are not made of whole tiles of {tile}: "
                    "make them multiples, or choose another tile of Watershed"
                )

    def fragments(self, block: Block) -> npt.NDArray[np.uint64]:
        """Flood tile by tile."""
        block, unit = self.prepared(block)
        direct = direct_channels(block.neighborhood)
        if not direct.any():
            raise ValueError("a watershed needs affinities of direct neighbours")
        boundary = 1 - unit[direct].mean(axis=0)
        context = _each(self.context, len(block.volume), "context")
        out = np.zeros(block.own_shape, np.uint64)
        own = [b + cut.start for b, cut in zip(block.begin, block.own, strict=True)]
        for begin, end in self._tiles(own, out.shape):
            low = np.maximum(np.subtract(begin, context), 0)
            high = np.minimum(np.add(end, context), block.volume)
            around = _slices(low, high, block.begin)
            labels = self._flood(boundary[around], block.alive[around], block)
            labels = labels[_slices(begin, end, low)]
            out[_slices(begin, end, own)] = _named(labels, begin, block.volume)
        return out

    def _tiles(
        self, first: Sequence[int], shape: Sequence[int]
    ) -> Iterator[tuple[tuple[int, ...], npt.NDArray[np.int64]]]:
        """Begin and end of each tile, in the volume."""
        tile = _each(self.tile, len(shape), "tile")
        last = np.add(first, shape)
        ranges = (range(b, int(e), side) for b, e, side in zip(first, last, tile, strict=True))
        for begin in product(*ranges):
            yield begin, np.minimum(np.add(begin, tile), last)

    def _flood(
        self, boundary: npt.NDArray[Any], alive: npt.NDArray[np.bool_], block: Block
    ) -> npt.NDArray[np.int64]:
        return seeded_watershed(
            boundary,
            threshold=1 - self.seed_threshold,
            distance=self.seed_distance,
            mask=alive,
            voxel_size=block.voxel_size or None,
            in_sections=self.in_sections,
        )

    def graph(self, block: Block, fragments: npt.NDArray[np.uint64]) -> RegionGraph:
        """How many affinities of direct neighbours there are between fragments, and their sum."""
        block, unit = self.prepared(block)
        unit += 1  # since 0 is no edge
        direct = direct_channels(block.neighborhood)
        block = replace(block, neighborhood=block.neighborhood[direct])
        return between_fragments(block, np.ascontiguousarray(unit[direct]), fragments)

    def join(self, graphs: Graphs) -> Joined:
        """Join while the mean affinity is above the threshold."""
        return join_by_mean(graphs, (1 + self.threshold) * FIXED)


def _each(sizes: int | tuple[int, ...], dims: int, name: str) -> tuple[int, ...]:
    found = sizes if isinstance(sizes, tuple) else (sizes,) * dims
    if len(found) != dims or min(found) < (name == "tile"):
        raise ValueError(f"{name} has a size for each of the {dims} axes, got {sizes}")
    return found


def _slices(begin: Any, end: Any, origin: Any) -> tuple[slice, ...]:
    """From where to where, counted from an origin."""
    return tuple(map(slice, np.subtract(begin, origin).tolist(), np.subtract(end, origin).tolist()))


def _named(
    labels: npt.NDArray[np.int64], begin: Sequence[int], volume: Sequence[int]
) -> npt.NDArray[np.uint64]:
    """Name each connected part 1 + the number of its first voxel in the volume."""
    parts, count = connected_components(np.ascontiguousarray(labels))
    ids, first = np.unique(parts, return_index=True)
    place = np.unravel_index(first, labels.shape)
    number = np.ravel_multi_index(
        tuple(axis + b for axis, b in zip(place, begin, strict=True)), tuple(volume)
    )
    names = np.zeros(count + 1, np.uint64)
    names[ids] = number.astype(np.uint64) + np.uint64(1)
    names[0] = 0
    out: npt.NDArray[np.uint64] = names[parts]
    return out
