"""The small worlds that nodes are tried in: an image, labels, a mask, points, all drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from voxflow.nodes.flow.merge_provider import MergeProvider
from voxflow.nodes.sources.array_source import ArraySource
from voxflow.pipeline.data import Array, ArrayKey, ArraySpec, Batch, Graph, GraphKey, GraphSpec
from voxflow.pipeline.engine import BatchProvider
from voxflow.pipeline.geometry import Coordinate, Roi
from voxflow.testing.images import ramp
from voxflow.testing.probe import Probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from voxflow.pipeline.data import BatchRequest
    from voxflow.pipeline.engine import Pipeline

__all__ = ["World", "draw_world"]

STEPS = (
    (1, 1, 2, 3),
    (2, 4, 5, 8),
    (Fraction(49, 5), Fraction(23, 5), 4, 8),
    (Fraction(1, 2), 1, Fraction(3, 2), Fraction(1, 3)),
)
"""Voxel sizes that go together, in world units."""

IDS = np.array([0, 1, 7, 2**32 - 1, 2**53 + 1, 2**63, 2**64 - 2, 2**64 - 1], np.uint64)
EXTENTS = {1: (60, 90), 2: (30, 42), 3: (21, 27), 4: (11, 14)}
"""How many voxels a world has along each axis, by its number of axes."""


@dataclass(frozen=True, repr=False)
class World:
    """A small world that a node is tried in, given to the function that makes the node.

    Attributes
    ----------
    axes
        A letter for each axis of the images, such as "tzyx"; "c" first: they have channels.
    arrays
        The arrays by key, with their specs: voxel sizes differ from axis to axis and may be such
        as 9.8, labels may be coarser and cover less than the image, offsets are anything.
    point_ids
        Shape (N,).
    point_places
        World units, shape (N, ndim).
    point_edges
        Pairs of ids, shape (E, 2).

    Examples
    --------
    >>> world = draw_world("czyx", seed=3)
    >>> world.ndim, world.arrays[world.raw].shape[0], world.arrays[world.labels].spec.roi.dims
    (3, 2, 3)
    """

    axes: str
    arrays: Mapping[ArrayKey, Array]
    point_ids: NDArray[np.uint64]
    point_places: NDArray[np.float64]
    point_edges: NDArray[np.uint64]

    raw: ClassVar[ArrayKey] = ArrayKey("RAW")
    """An image of whole numbers."""
    floats: ClassVar[ArrayKey] = ArrayKey("FLOAT")
    """An image of floating point, with values in [0, 1]."""
    labels: ClassVar[ArrayKey] = ArrayKey("LABELS")
    """Ids up to 2**64 - 1; 0 is background."""
    mask: ClassVar[ArrayKey] = ArrayKey("MASK")
    """Zeros and ones, on the voxels of the labels."""
    points: ClassVar[GraphKey] = GraphKey("points")
    """Points everywhere, with a few edges."""
    new: ClassVar[ArrayKey] = ArrayKey("NEW")
    """A name for an array that the node makes."""

    @property
    def ndim(self) -> int:
        """The number of spatial axes, time included."""
        return len(self.axes.replace("c", ""))

    @property
    def keys(self) -> tuple[Any, ...]:
        """All keys that there are upstream."""
        return (*self.arrays, self.points)

    @property
    def roi(self) -> Roi:
        """The region of the image, in world units."""
        return self.arrays[self.raw].spec.region

    @property
    def voxel_size(self) -> Coordinate:
        """The voxel size of the image, in world units."""
        return self.arrays[self.raw].spec.grid

    @property
    def inner(self) -> Roi:
        """A region in the middle, on the voxel grid of all arrays."""
        return middle(self.arrays[self.labels].spec.region, self.arrays[self.labels].spec.grid)

    @property
    def upstream(self) -> Pipeline:
        """New sources of all arrays and of the points."""
        sources: list[BatchProvider] = [ArraySource(k, a) for k, a in self.arrays.items()]
        graph = PointSource(self.points, self)
        return (*sources, graph) + MergeProvider() + Probe()

    def __repr__(self) -> str:
        return f"World({self.axes!r}, {self.roi}, voxels of {self.voxel_size})"

    def coded(self) -> World:
        """This world with a ramp as `floats`, and a number of its own for each voxel of `labels`.

        Both have the voxels of the image.
        """
        spec = ArraySpec(self.roi, self.voxel_size, interpolatable=True)
        places = Array(ramp(self.roi, self.voxel_size), spec)
        spec.interpolatable = False
        numbers = 1 + np.arange(places.data[0].size, dtype=np.uint64)
        ids = Array(numbers.reshape(places.shape[1:]), spec)
        return replace(self, arrays={**self.arrays, self.floats: places, self.labels: ids})


class PointSource(BatchProvider):
    """Offers the points of a world."""

    takes_no_input: ClassVar[bool] = True

    def __init__(self, key: GraphKey, world: World) -> None:
        self.key = key
        self.ids, self.places = world.point_ids, world.point_places
        self.edges, self.roi = world.point_edges, world.roi

    def setup(self) -> None:
        """Offer the points."""
        self.provides(self.key, GraphSpec(self.roi, directed=False))

    def provide(self, request: BatchRequest) -> Batch:
        """The points in a region."""
        spec = GraphSpec(self.roi, directed=False)
        batch = Batch()
        graph = Graph.from_arrays(self.ids, self.places, self.edges, spec)
        batch[self.key] = graph.crop(request[self.key].roi)
        return batch


def draw_world(axes: str, seed: int) -> World:
    """Draw a world.

    Parameters
    ----------
    axes
        A letter for each axis, such as "yx", "zyx", "czyx" or "tzyx".
    seed
        The same seed gives the same world.
    """
    check_axes(axes)
    rng = np.random.default_rng([seed, *axes.encode()])
    dims = len(axes.replace("c", ""))
    steps = STEPS[rng.integers(len(STEPS))]
    size = Coordinate(steps[n] for n in rng.integers(len(steps), size=dims))
    coarse = Coordinate(int(n) for n in rng.integers(1, 3, dims))
    extent = Coordinate(int(n) for n in rng.integers(*EXTENTS[dims], dims))
    extent = extent + extent % coarse
    roi = Roi(Coordinate(int(n) for n in rng.integers(-9, 10, dims)) * size * coarse, extent * size)
    margin = size * coarse * int(rng.integers(2))
    known = ArraySpec(roi.grow(-margin, -margin), size * coarse, interpolatable=False)
    channels = (2,) * ("c" in axes)
    arrays = _images(rng, channels, roi, size) | _segmentations(rng, known)
    ids, places, edges = _points(rng, roi)
    return World(axes, arrays, ids, places, edges)


def check_axes(axes: str) -> None:
    """Raise ValueError if a string is not a letter for each axis."""
    spatial = axes.removeprefix("c")
    if "c" in spatial or not 1 <= len(spatial) <= max(EXTENTS) or len(set(axes)) < len(axes):
        raise ValueError(
            f"axes are a letter each, one to four of them, a c for channels first, as in 'yx', "
            f"'zyx', 'czyx' or 'tzyx'; got {axes!r}"
        )


def middle(roi: Roi, voxel_size: Coordinate) -> Roi:
    """The middle third of a region, at least a voxel along each axis."""
    extent = roi.shape // voxel_size
    edge = Coordinate((n - 1) // 3 for n in extent)
    return roi.grow(-edge * voxel_size, -edge * voxel_size)


def part_of(roi: Roi, voxel_size: Coordinate, rng: Any) -> Roi:
    """A part of a region on the voxel grid, at least a voxel along each axis."""
    whole = [int(n) for n in roi.shape // voxel_size]
    extent = Coordinate(int(rng.integers(max(n // 2, 1), n + 1)) for n in whole)
    begin = Coordinate(int(rng.integers(n - e + 1)) for n, e in zip(whole, extent, strict=True))
    return Roi(roi.offset + begin * voxel_size, extent * voxel_size)


def _images(rng: Any, channels: tuple[int, ...], roi: Roi, size: Coordinate) -> dict[Any, Array]:
    shape = (*channels, *(roi.shape // size))
    spec = ArraySpec(roi, size, interpolatable=True)
    kind, whole = rng.choice(["float32", "float64"]), rng.choice(["uint8", "uint16"])
    values = rng.integers(0, np.iinfo(whole).max, shape, whole, endpoint=True)
    floats = rng.uniform(0.3, 0.7, shape).astype(kind)
    return {World.raw: Array(values, spec), World.floats: Array(floats, spec)}


def _segmentations(rng: Any, spec: ArraySpec) -> dict[Any, Array]:
    shape = spec.region.shape // spec.grid
    labels = rng.choice(IDS, [-(-n // 3) for n in shape])
    for axis, n in enumerate(shape):
        labels = np.take(labels, np.arange(n) // 3, axis)
    mask = rng.integers(0, 2, shape, np.uint8)
    return {World.labels: Array(labels, spec), World.mask: Array(mask, spec)}


def _points(rng: Any, roi: Roi) -> tuple[Any, Any, Any]:
    count = 20 * 3**roi.dims
    ids = np.unique(rng.integers(0, 2**64 - 1, count, np.uint64, endpoint=True))
    low, high = ([float(n) for n in corner] for corner in (roi.begin, roi.end))
    places = rng.uniform(low, high, (len(ids), roi.dims))
    edges = rng.permutation(ids)[: len(ids) // 2 * 2].reshape(-1, 2)[:10]
    return ids, places, edges
