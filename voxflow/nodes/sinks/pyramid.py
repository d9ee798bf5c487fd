"""Coarser levels of an OME-Zarr image, made of the finest."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from voxflow.nodes.sinks.ome_image import DownSampling, OmeImage
from voxflow.nodes.sources.kinds import guess_interpolatable
from voxflow.pipeline.engine.workers.limits import available_cpus
from voxflow.pipeline.geometry import Coordinate
from voxflow.stores import open_dataset
from voxflow.stores.base import parse_choice
from voxflow.stores.grid import chunk_bounds, chunks_of
from voxflow.stores.remote import check_home

if TYPE_CHECKING:
    from voxflow.stores import Geometry, MissingChunks, StoredDataset

__all__ = ["choose_method", "make_pyramid"]

_PIECE = 16 << 20  # bytes of the finer level that are read at once
_ALIKE = 2  # the square of how many times coarser an axis may be and still be halved with others


def make_pyramid(
    store: Any,
    path: str = "",
    *,
    levels: int | None = None,
    downsample: DownSampling | None = None,
    missing_chunks: MissingChunks = "error",
    overwrite: bool = False,
) -> list[str]:
    """Make the coarser levels of an OME-Zarr image.

    Each level has half as many voxels as the one before, along the axes whose voxels are not
    coarser than the others' (by more than a factor of the square root of 2): so voxels become
    cubes. Voxels of each level lie on the grid of their size in the world, as those do that
    `DatasetSource` reads; where the data begin or end in the midst of one, it is made of those
    voxels that are there.

    A level is listed in the metadata when it is complete. What is listed is not made again: if
    this was stopped, call it again, and the files become the same.

    Parameters
    ----------
    store
        A Zarr store.
    path
        Of the image's group, or of a dataset in a group of its own, which becomes the finest
        level there.
    levels
        How many there shall be, with the finest; None: until one fits in a chunk.
    downsample
        What a voxel becomes of those it covers. None: what the image says itself, else "mean" for
        floating point and uint8, "mode" (the most frequent value, the smallest of several) for
        other types, which may be labels.
    missing_chunks
        What a chunk of the finest level means that was never written: ``"error"``, or ``"fill"``.
    overwrite
        Make all coarser levels anew.

    Returns
    -------
    list
        The paths of all levels, finest first.

    Raises
    ------
    StoreError
        If it is no Zarr, or the dataset is in no group, or in one of another image.
    MissingChunk
        If the finest level is not complete.
    MetadataConflict
        If there are coarser levels of other voxel sizes.

    Examples
    --------
    >>> import voxflow as gp
    >>> store = {}  # or a path
    >>> raw = gp.stores.create_dataset(
    ...     store,
    ...     "image/s0",
    ...     (4, 64, 64),
    ...     "uint8",
    ...     geometry=gp.stores.Geometry((40, 4, 4), (0, 0, 0)),
    ...     chunks=(4, 32, 32),
    ... )
    >>> raw.write((), np.zeros((4, 64, 64), np.uint8))
    >>> gp.make_pyramid(store, "image/s0", levels=3)
    ['image/s0', 'image/s1', 'image/s2']
    >>> [level.voxel_size for level in gp.stores.list_levels(store, "image")]
    [(40, 4, 4), (40, 8, 8), (40, 16, 16)]
    """
    if levels is not None and levels < 1:
        raise ValueError(f"levels has to be at least 1, the finest, got {levels}")
    parse_choice("downsample", downsample, (None, *get_args(DownSampling)))
    image = OmeImage(store, path)
    finest = open_dataset(image.store, image.path_of(0), missing_chunks=missing_chunks)
    method = downsample or image.method or choose_method(finest.dtype)
    if overwrite:
        image.forget()
    source, place = finest, image.geometry
    for number, step in enumerate(halvings(finest, place, levels), start=1):
        place = replace(
            place,
            voxel_size=place.voxel_size * step.factors,
            offset=place.offset - step.before * place.voxel_size,
        )
        if number >= len(image.entries):
            target = image.make_next(step.shape(source.shape[-len(step.factors) :]), place)
            shrink_into(source, target, step, method)
            target.flush()
            image.list_next(place)
        else:
            image.check(number, place)
        source = open_dataset(image.store, image.path_of(number))
    return [image.path_of(number) for number in range(len(image.entries))]


def choose_method(dtype: Any, interpolatable: bool | None = None) -> DownSampling:
    """The mean of what may be interpolated, else the most frequent value.

    >>> choose_method("uint8"), choose_method("uint64"), choose_method("uint16", True)
    ('mean', 'mode', 'mean')
    """
    known = guess_interpolatable(dtype) if interpolatable is None else interpolatable
    return "mean" if known else "mode"


class Halving(NamedTuple):
    """How a level follows from the one before, along each spatial axis.

    Parameters
    ----------
    factors
        How many voxels become one, 1 or 2.
    before
        How many of those that the first voxel is made of are not there, because the data begin in
        the midst of it: 0 or 1.
    """

    factors: Coordinate
    before: Coordinate

    def shape(self, finer: Sequence[int]) -> Coordinate:
        """Voxels of the coarser level."""
        axes = zip(finer, *self, strict=True)
        return Coordinate(-(-(n + before) // factor) for n, factor, before in axes)


def halvings(finest: StoredDataset, place: Geometry, levels: int | None) -> Iterator[Halving]:
    """How each level follows from the one before."""
    size, begin = place.voxel_size, place.offset
    shape = Coordinate(finest.shape[-len(size) :])
    chunk = (finest.read_grid or finest.shape)[-len(size) :]
    for number in itertools.count(1):
        fits = all(n <= c for n, c in zip(shape, chunk, strict=True))
        step = halving(shape, size, begin)
        if (fits if levels is None else number >= levels) or max(step.factors) == 1:
            return
        yield step
        shape, begin, size = step.shape(shape), begin - step.before * size, size * step.factors


def halving(shape: Sequence[int], voxel_size: Coordinate, begin: Coordinate) -> Halving:
    """Which axes are halved next, and where; none if none can become shorter.

    >>> halving((100, 100, 100), Coordinate(40, 4, 4), Coordinate(0, 0, 4))
    Halving(factors=(1, 2, 2), before=(0, 0, 1))
    >>> halving((100, 100, 100), Coordinate(40, 32, 32), Coordinate(0, 0, 0)).factors
    (2, 2, 2)
    """
    # On the grid of the coarser voxels in the world, as regions have to be.
    odd = [int(at // size) % 2 for at, size in zip(begin, voxel_size, strict=True)]
    long = [-(-(n + before) // 2) < n for n, before in zip(shape, odd, strict=True)]
    least = min((size for size, can in zip(voxel_size, long, strict=True) if can), default=0)
    halved = [
        can and size * size < _ALIKE * least * least
        for size, can in zip(voxel_size, long, strict=True)
    ]
    return Halving(
        Coordinate(2 if yes else 1 for yes in halved),
        Coordinate(before if yes else 0 for before, yes in zip(odd, halved, strict=True)),
    )


def shrink_into(
    source: StoredDataset, target: StoredDataset, step: Halving, method: DownSampling
) -> None:
    """Fill a level from the finer one, chunk by chunk (or shard), by several threads."""
    grid = _block(target, step.factors)
    cells = chunks_of(tuple((0, n) for n in target.shape), grid)
    lead = len(target.shape) - len(step.factors)
    factors = (*(1,) * lead, *map(int, step.factors))
    before = (*(0,) * lead, *map(int, step.before))

    def fill(index: tuple[int, ...]) -> None:
        bounds = chunk_bounds(index, grid, target.shape)
        made = np.empty([end - begin for begin, end in bounds], target.dtype)
        for piece in _pieces(made.shape, factors, source.dtype.itemsize):
            first = [begin + cut.start for (begin, _), cut in zip(bounds, piece, strict=True)]
            last = [begin + cut.stop for (begin, _), cut in zip(bounds, piece, strict=True)]
            axes = zip(first, last, factors, before, source.shape, strict=True)
            region = [slice(max(0, b * n - m), min(e * n - m, end)) for b, e, n, m, end in axes]
            absent = [0 if b else m for b, m in zip(first, before, strict=True)]
            made[piece] = shrink(source.read(region), factors, method, absent)
        target.write([slice(*pair) for pair in bounds], made)

    with ThreadPoolExecutor(available_cpus()) as pool:
        for _ in bounded_map(pool, fill, cells):
            pass


def shrink(
    data: np.ndarray[Any, Any],
    factors: Sequence[int],
    method: DownSampling,
    before: Sequence[int] | None = None,
) -> np.ndarray[Any, Any]:
    """Make one voxel of ``factors`` voxels along each axis, at the ends of those that are there.

    Means of integers are rounded to the nearest, halves to even. ``before`` says how many voxels
    of the first one are not there.

    >>> shrink(np.array([1, 2, 4, 5, 9], np.uint8), (2,), "mean")
    array([2, 4, 9], dtype=uint8)
    >>> shrink(np.array([7, 3, 2**64 - 1], np.uint64), (2,), "mode").tolist()
    [3, 18446744073709551615]
    """
    import tensorstore

    check_home("a pyramid")
    place = tensorstore.d[:].translate_to[list(before or (0,) * data.ndim)]
    small = tensorstore.downsample(tensorstore.array(data)[place], list(factors), method)
    made: np.ndarray[Any, Any] = small.read().result()
    return made


def bounded_map(pool: ThreadPoolExecutor, do: Any, items: Iterable[Any]) -> Iterator[Any]:
    """As ``pool.map``, with no more than a few items waiting, however many there are."""
    waiting: deque[Any] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(do, item))
            if len(waiting) > 2 * pool._max_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _block(target: StoredDataset, step: Coordinate) -> tuple[int, ...]:
    """Several chunks where they are small, so that reading them is worth it."""
    grid = list(target.chunks or target.shape)
    room = _PIECE // (target.dtype.itemsize * math.prod(int(n) for n in step))
    for axis in reversed(range(len(grid))):
        while grid[axis] < target.shape[axis] and 2 * math.prod(grid) <= room:
            grid[axis] *= 2
    return tuple(grid)


def _pieces(
    shape: Sequence[int], factors: Sequence[int], itemsize: int
) -> Iterator[tuple[slice, ...]]:
    """Cut a block into parts that are made of few enough voxels of the finer level."""
    size = list(shape)
    while math.prod(size) * math.prod(factors) * itemsize > _PIECE and max(size) > 1:
        longest = max(range(len(size)), key=size.__getitem__)
        size[longest] = -(-size[longest] // 2)
    for index in chunks_of(tuple((0, n) for n in shape), size):
        yield tuple(slice(*pair) for pair in chunk_bounds(index, size, shape))
