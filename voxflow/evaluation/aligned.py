"""Datasets beside one another: the region of the world that all of them cover, block by block."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from voxflow.pipeline.data import Array
from voxflow.pipeline.geometry import Coordinate, Roi, grid
from voxflow.stores import (
    ArrayDataset,
    Dataset,
    Geometry,
    MetadataMissing,
    geometry_attrs,
    open_dataset,
    read_geometry,
)

__all__ = ["Aligned", "Placed", "align", "placed"]

BLOCK_VOXELS = 2**22


@dataclass(frozen=True)
class Placed:
    """A dataset with its place in the world."""

    dataset: Dataset
    what: str
    """What it is, for messages."""
    geometry: Geometry | None
    """None where nothing says where it lies."""
    spatial: tuple[int, ...]
    """Which of its axes are spatial."""

    @property
    def leading(self) -> tuple[int, ...]:
        """The other axes."""
        return tuple(a for a in range(len(self.dataset.shape)) if a not in self.spatial)

    @property
    def shape(self) -> Coordinate:
        """Voxels along each spatial axis."""
        return Coordinate(self.dataset.shape[axis] for axis in self.spatial)

    @property
    def channels(self) -> int:
        """How many values a voxel has."""
        return math.prod(self.dataset.shape[axis] for axis in self.leading)

    @property
    def name(self) -> str:
        """What it is, and where it is kept."""
        return f"the {self.what} ({self.dataset.uri})"

    def read(self, region: Roi) -> NDArray[Any]:
        """Some voxels: the leading axes first, then the spatial ones.

        Parameters
        ----------
        region
            In voxels, from the first voxel of the dataset.
        """
        where = [slice(0, extent) for extent in self.dataset.shape]
        for axis, cut in zip(self.spatial, region.to_slices(), strict=True):
            where[axis] = cut
        look = getattr(self.dataset, "look", None)
        seen: NDArray[Any] | None = look(tuple(where)) if look else None
        voxels = self.dataset.read(tuple(where)) if seen is None else seen
        return voxels.transpose(self.leading + self.spatial)


def placed(
    data: Any, what: str, voxel_size: Sequence[Any] | None = None, dims: int | None = None
) -> Placed:
    """Find out where a dataset lies.

    Parameters
    ----------
    data
        A `voxflow.Array`, a dataset, a pair of store and path, or a store (a file, a folder, a URL,
        an array ...) that `voxflow.stores.open_dataset` takes.
    what
        What it is, for messages.
    voxel_size
        Wins over what the file says.
    dims
        How many spatial axes it has, where the file does not say.
    """
    dataset = _opened(data)
    try:
        geometry = read_geometry(dataset, voxel_size=voxel_size, ndim=dims)
    except MetadataMissing:
        count = len(dataset.shape) if dims is None else dims
        ndim = len(dataset.shape)
        return Placed(dataset, what, None, tuple(range(max(ndim - count, 0), ndim)))
    count, ndim = len(geometry.voxel_size), len(dataset.shape)
    return Placed(dataset, what, geometry, geometry.spatial or tuple(range(ndim - count, ndim)))


def _opened(data: Any) -> Dataset:
    if isinstance(data, Array):
        roi, voxel_size = data.spec.roi, data.spec.voxel_size
        if roi is None or voxel_size is None:
            return ArrayDataset(data.data)
        return ArrayDataset(data.data, attrs=geometry_attrs(Geometry(voxel_size, roi.offset)))
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[1], str):
        return open_dataset(data[0], data[1])
    if hasattr(data, "read") and hasattr(data, "uri") and not isinstance(data, os.PathLike):
        dataset: Dataset = data
        return dataset
    return open_dataset(data)


@dataclass(frozen=True)
class Aligned:
    """Datasets of one voxel grid, and the region that all of them cover."""

    parts: tuple[Placed, ...]
    region: Roi
    """In world units."""
    voxel_size: Coordinate
    notes: tuple[str, ...]
    """What is not compared, and what had to be assumed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the region, in voxels."""
        return tuple(int(extent) for extent in self.region.shape / self.voxel_size)

    def within(self, part: Placed, region: Roi) -> Roi:
        """Voxels of the region, counted from the first voxel of a part."""
        if part.geometry is None:
            return region
        return region + (self.region.offset - part.geometry.offset) / self.voxel_size

    def blocks(self, progress: bool = False) -> Iterator[tuple[Roi, list[NDArray[Any]]]]:
        """Read all parts block by block, one block ahead.

        Yields
        ------
        tuple[Roi, list[ndarray]]
            The voxels, counted from the begin of the region, and what each part has there.
        """
        first = self.parts[0]
        whole = Roi((0,) * self.region.dims, self.shape)
        origin = -self.within(first, whole).offset
        tiles = grid(whole, block_shape(first, self.shape), origin)

        def read(tile: Roi) -> list[NDArray[Any]]:
            return [part.read(self.within(part, tile)) for part in self.parts]

        with (
            ThreadPoolExecutor(1, "voxflow-evaluate") as ahead,
            tqdm(total=math.prod(self.shape), unit="voxel", unit_scale=True, disable=not progress,
                 desc="evaluate", leave=False) as bar,
        ):  # fmt: skip
            waiting = ahead.submit(read, tiles[0]) if len(tiles) else None
            for number, tile in enumerate(tiles):
                arrays = waiting.result() if waiting else []
                if number + 1 < len(tiles):
                    waiting = ahead.submit(read, tiles[number + 1])
                yield tile, arrays
                bar.update(math.prod(tile.shape))


def block_shape(part: Placed, shape: Sequence[int], voxels: int = BLOCK_VOXELS) -> tuple[int, ...]:
    """Whole chunks of a dataset, as many as make a block of about so many voxels.

    The last axes grow first, so that blocks are read in one piece where that can be.
    """
    chunks = part.dataset.chunks or (1,) * len(part.dataset.shape)
    block = [max(1, chunks[axis]) for axis in part.spatial]
    for axis in reversed(range(len(block))):
        while block[axis] < shape[axis] and 2 * math.prod(block) <= voxels:
            block[axis] *= 2
    return tuple(block)


def align(*parts: Placed, region: Any = None) -> Aligned:
    """Find the region that datasets have in common.

    Where none says its voxel size, they have to be of one shape and are compared voxel by voxel;
    where some do not, these take the place of the one of their shape that does.

    Parameters
    ----------
    *parts
        The first ones are compared; what lies outside of any of them is not.
    region
        Compare this region only, in world units.

    Raises
    ------
    ValueError
        If they are not of one voxel grid, or have no region in common.
    """
    parts, notes = _without_gaps(parts)
    sizes = [None if part.geometry is None else part.geometry.voxel_size for part in parts]
    first = parts[0]
    for part, size in zip(parts, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"voxel sizes differ: {first.name} has {sizes[0]}, {part.name} {size}. Resample "
                "one of them (voxflow.Resample), take another level of a pyramid, or correct the "
                "attribute 'resolution' of the one that is wrong"
            )
    voxel_size = sizes[0] or Coordinate((1,) * len(first.shape))
    boxes = [_box(part, voxel_size) for part in parts]
    common = boxes[0] if region is None else Roi.like(region).intersect(boxes[0])
    for part, box in zip(parts, boxes, strict=True):
        _check_grid(first, part, box.offset - boxes[0].offset, voxel_size)
        common = common.intersect(box)
    if common.empty:
        listed = "; ".join(f"{p.name}: {box}" for p, box in zip(parts, boxes, strict=True))
        raise ValueError(
            f"no region of the world is common to all (world units): {listed}"
            + (f"; asked for: {region}" if region is not None else "")
            + ". Correct the attribute 'offset' of the one that is wrong"
        )
    _check_grid(first, first, common.offset - boxes[0].offset, voxel_size)
    _check_grid(first, first, common.end - boxes[0].offset, voxel_size)
    if region is not None:
        boxes = [box.intersect(Roi.like(region)) for box in boxes]  # no more was asked for
    return Aligned(parts, common, voxel_size, (*notes, *_left_out(parts, boxes, common)))


def _without_gaps(parts: tuple[Placed, ...]) -> tuple[tuple[Placed, ...], list[str]]:
    """Give a place to those that do not say theirs."""
    known = [part for part in parts if part.geometry is not None]
    result, notes = [], []
    for part in parts:
        if part.geometry is not None:
            result.append(part)
            continue
        same = [other for other in (known or parts[:1]) if _fits(part, other)]
        if not same:
            other = (known or parts)[0]
            raise ValueError(
                f"{part.name} does not say its voxel size, and its shape {part.dataset.shape} is "
                f"not that of {other.name}, {tuple(other.shape)}, so where it lies is not known: "
                "write the attributes 'resolution' and 'offset' (voxflow.stores.write_geometry), "
                "or pass a voxflow.Array with roi and voxel size"
            )
        ndim, dims = len(part.dataset.shape), len(same[0].shape)
        spatial = tuple(range(ndim - dims, ndim))
        result.append(Placed(part.dataset, part.what, same[0].geometry, spatial))
        if known:
            notes.append(
                f"{part.name} does not say its voxel size: it is taken to lie where "
                f"{same[0].name} does, which has its shape"
            )
    if not known:
        notes.append("nothing says its voxel size: compared voxel by voxel, from the first one")
    return tuple(result), notes


def _fits(part: Placed, other: Placed) -> bool:
    dims = len(other.shape)
    return part.dataset.shape[len(part.dataset.shape) - dims :] == tuple(other.shape)


def _box(part: Placed, voxel_size: Coordinate) -> Roi:
    offset = Coordinate((0,) * len(part.shape))
    if part.geometry is not None:
        offset = part.geometry.offset
    return Roi(offset, part.shape * voxel_size)


def _check_grid(first: Placed, part: Placed, shift: Coordinate, voxel_size: Coordinate) -> None:
    if not shift.is_multiple_of(voxel_size):
        whose = f"{part.name} lies" if part is not first else "the region begins or ends"
        raise ValueError(
            f"{whose} {shift} world units beside the voxels of {first.name}, which is no whole "
            f"number of voxels of {voxel_size}: voxels do not cover one another. Resample one of "
            "them (voxflow.Resample), or correct the attribute 'offset'"
        )


def _left_out(parts: Sequence[Placed], boxes: Sequence[Roi], common: Roi) -> Iterator[str]:
    size = common.size or 0
    for part, box in zip(parts, boxes, strict=True):
        if box != common and part.what != "mask":
            share = 1 - float(size / (box.size or 1))
            yield (
                f"only the region {common} is compared: {part.name} covers {box}, of which "
                f"{share:.2%} is left out"
            )


def single_channel(arrays: NDArray[Any], dims: int) -> NDArray[Any]:
    """Take away leading axes of extent 1."""
    return arrays.reshape(arrays.shape[-dims:]) if dims else arrays


def as_voxels(tile: Roi) -> tuple[int, ...]:
    """Where a block begins."""
    return tuple(int(begin) for begin in np.asarray(tile.offset, dtype=object))
