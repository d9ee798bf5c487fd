"""One array from tiles that overlap."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.nodes.flow.overlapping_tiles import OverlappingTiles
from voxflow.ops.blending import add_weighted, tile_weights, whole_weight
from voxflow.pipeline.data import Array, Batch
from voxflow.pipeline.engine import BatchFilter
from voxflow.pipeline.geometry import voxel_slices

if TYPE_CHECKING:
    from voxflow.nodes.flow.overlapping_tiles import Place
    from voxflow.pipeline.data import ArrayKey, ArraySpec, BatchRequest
    from voxflow.pipeline.geometry import Roi


class Blend(BatchFilter):
    """Puts arrays together from tiles that overlap, with weights that fall towards their borders.

    Downstream of a network that predicts less well near the borders of what it sees. Whatever
    region is asked for is put together from the same tiles: they lie on a grid that begins where
    the data begin, and the last one along each axis is moved back inside. Where tiles overlap,
    their weights are ramps; they sum to one exactly, so what all tiles agree on stays as it is, bit
    for bit (float32 and float16). Sums are float64 and in a fixed order. So a part is that part of
    the whole, whoever computes it.

    Each request asks for all tiles that hold something of it, one after another. Tiles at the
    border of a region are asked for again by its neighbour, so ask for regions of several tiles
    along each axis, such as the blocks of a `Scan`.

    Arrays that are not in the reference pass as they are.

    Parameters
    ----------
    reference
        What one tile asks for: arrays of floating point numbers, in one region, and placeholders
        in any. Only sizes and relative positions matter.
    overlap
        By how much neighbouring tiles overlap: world units, one number or one for each axis; at
        most half a tile.
    cache_size
        How many tiles are kept for the next request of the same batch, such as the next block of
        a `Scan`. Each process keeps its own.

    Raises
    ------
    ValueError
        At setup, if arrays of the reference hold labels or other integers, differ in their
        regions, or a tile fits nowhere into what is provided; if the overlap is too large or no
        whole number of voxels.
    TypeError
        At a request, if an array turns out to hold integers.

    Examples
    --------
    >>> import voxflow as gp
    >>> raw = gp.ArrayKey("RAW")
    >>> data = np.arange(100, dtype=np.float32)
    >>> line = gp.ArraySource(raw, data, spec=gp.ArraySpec(voxel_size=(4,)))
    >>> tile = gp.BatchRequest({raw: gp.Roi((0,), (80,))})
    >>> with gp.build(line + gp.Blend(tile, overlap=20)) as pipeline:
    ...     batch = pipeline.request_batch(gp.BatchRequest({raw: gp.Roi((0,), (400,))}))
    >>> np.array_equal(batch[raw].data, data)
    True
    """

    def __init__(self, reference: BatchRequest, overlap: Any, *, cache_size: int = 8) -> None:
        if cache_size < 0:
            raise ValueError(f"cache_size counts tiles, got {cache_size}")
        self.reference = reference.clone()
        self.overlap = overlap
        self.cache_size = cache_size
        self._cache = _Cache(cache_size)

    def setup(self) -> None:
        """Offer what tiles can cover."""
        self._tiles = OverlappingTiles(self.reference, self.spec, self.overlap)
        for key in self._tiles.keys:
            spec = self.spec[key].copy()
            if spec.dtype is not None and spec.dtype.kind != "f":
                raise ValueError(f"{self.name()}: {_refusal(key, spec.dtype)}")
            if spec.voxel_size is None:
                raise ValueError(f"{self.name()}: {key} has no voxel size")
            spec.roi = self._tiles.region
            self.updates(key, spec)

    def teardown(self) -> None:
        """Forget the tiles."""
        self._cache.clear()

    def upstream_requests(self, request: BatchRequest) -> list[tuple[Any, BatchRequest]]:
        """The first tile, which stands for all, and what passes."""
        asked, rest = self._split(request)
        places = self._tiles.overlapping([spec.region for spec in asked.values()])[:1]
        requests = [self._tiles.request(place, asked, request) for place in places]
        upstream = self.get_upstream_provider()
        return [(upstream, r) for r in (*requests, rest) if len(r)]

    def provide(self, request: BatchRequest) -> Batch:
        """Sum the tiles up."""
        asked, rest = self._split(request)
        batch = self.get_upstream_provider().request_batch(rest) if len(rest) else Batch()
        sums = {key: _Sum(self._tiles, spec.region) for key, spec in asked.items()}
        for place in self._tiles.overlapping([spec.region for spec in asked.values()]):
            tile = self._tile(self._tiles.request(place, asked, request), batch)
            for key in asked:
                if tile[key].dtype.kind != "f":
                    raise TypeError(f"{self.name()}: {_refusal(key, tile[key].dtype)}")
                sums[key].add(tile[key], place)
        for key in asked:
            batch[key] = sums[key].array()
        return batch

    def _split(self, request: BatchRequest) -> tuple[dict[ArrayKey, ArraySpec], BatchRequest]:
        """What is put together, and what passes."""
        rest, asked = request.clone(), {}
        for key in self._tiles.keys:
            if key in rest:
                if not rest[key].placeholder:
                    asked[key] = rest[key]
                del rest[key]
        return asked, rest

    def _tile(self, request: BatchRequest, batch: Batch) -> Batch:
        key = (request.seed, frozenset(request.array_specs))
        tile = self._cache.get(key)
        if tile is None:
            tile = self.get_upstream_provider().request_batch(request)
            batch.profiling_stats.merge_with(tile.profiling_stats)
            self._cache.put(key, tile)
        return tile

    def __getstate__(self) -> dict[str, Any]:
        # A worker keeps tiles of its own.
        return {**self.__dict__, "_cache": _Cache(self.cache_size)}


def _refusal(key: ArrayKey, dtype: np.dtype[Any]) -> str:
    return (
        f"{key} holds {dtype}: labels and other integers have no weighted mean. Blend what the "
        "network says (floating point numbers; AsType upstream makes them), and make labels of it "
        "downstream"
    )


class _Sum:
    """The weighted sum of tiles in one region, and nothing beyond it."""

    def __init__(self, tiles: OverlappingTiles, region: Roi) -> None:
        self._tiles = tiles
        self._region = region
        self._whole = whole_weight(region.dims)
        self._first: Array | None = None
        self._total = np.empty(0)

    def add(self, tile: Array, place: Place) -> None:
        """Add the part of a tile that lies in the region."""
        size = tile.spec.grid
        if self._first is None:
            shape = tuple(self._region.shape / size)
            self._lead = tile.shape[: len(tile.shape) - len(shape)]
            self._total = np.zeros((int(np.prod(self._lead)), *shape))
            self._first = tile
        part = tile.spec.region.intersect(self._region)
        if part.empty:
            return
        inside = part / size
        weights = [
            tile_weights([int(b / s) for b in near], int(n / s), i, low, high, self._whole)
            for (near, i), n, s, low, high in zip(
                map(_near, self._tiles.begins, place), self._tiles.shape, size,
                inside.begin, inside.end, strict=True,
            )
        ]  # fmt: skip
        values = tile.crop(part, copy=False).view
        where = voxel_slices(part, self._region.begin, size)
        add_weighted(
            self._total[(slice(None), *where)],
            values.reshape(len(self._total), *values.shape[len(self._lead) :]),
            [w.astype(np.float64) for w in weights],
        )

    def array(self) -> Array:
        """The mean."""
        first: Any = self._first
        data = np.multiply(
            self._total,
            1 / self._whole**self._region.dims,  # a power of two: exact
            out=np.empty(self._total.shape, first.dtype),
            casting="same_kind",
        )
        spec = first.spec.copy()
        spec.roi = self._region
        shape = (*self._lead, *data.shape[1:])
        return Array(data.reshape(shape), spec, dict(first.attrs))


def _near(begins: list[Any], i: int) -> tuple[list[Any], int]:
    """A tile and its neighbours along one axis, which are all that its weights depend on."""
    first = max(i - 1, 0)
    return begins[first : i + 2], i - first


class _Cache:
    """The tiles that were used last, for all threads of a process."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tiles: OrderedDict[Any, Batch] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> Batch | None:
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
            return self._tiles.get(key)

    def put(self, key: Any, tile: Batch) -> None:
        with self._lock:
            self._tiles[key] = tile
            while len(self._tiles) > self._size:
                self._tiles.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._tiles.clear()
