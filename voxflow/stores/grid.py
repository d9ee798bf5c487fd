"""The grid of chunks that a dataset is stored in: which ones a region touches, and good sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CHUNK_BYTES",
    "Bounds",
    "Index",
    "chunk_bounds",
    "chunks_of",
    "copy_chunk",
    "default_chunks",
    "format_bounds",
]

Bounds = tuple[tuple[int, int], ...]
"""A region in voxels: begin and end of each axis."""

Index = tuple[int, ...]
"""Which chunk: its place in the grid of chunks."""

CHUNK_BYTES = 1 << 20
"""The size that default chunks do not exceed: quick to fetch, and not too many files."""


def chunks_of(bounds: Bounds, chunks: Sequence[int]) -> Iterator[Index]:
    """List the chunks that a region touches, last axis fastest; none for an empty region.

    >>> list(chunks_of(((0, 10), (15, 25)), (10, 10)))
    [(0, 1), (0, 2)]
    """
    if any(end <= begin for begin, end in bounds):
        return iter(())
    return itertools.product(
        *(
            range(begin // size, (end - 1) // size + 1)
            for (begin, end), size in zip(bounds, chunks, strict=True)
        )
    )


def chunk_bounds(index: Index, chunks: Sequence[int], shape: Sequence[int]) -> Bounds:
    """Give the voxels of one chunk, cut at the dataset's end.

    >>> chunk_bounds((0, 2), (10, 10), (30, 25))
    ((0, 10), (20, 25))
    """
    return tuple(
        (i * size, min((i + 1) * size, extent))
        for i, size, extent in zip(index, chunks, shape, strict=True)
    )


def copy_chunk(
    chunk: NDArray[Any], index: Index, grid: Sequence[int], bounds: Bounds, out: NDArray[Any]
) -> None:
    """Copy the part of a chunk that lies in a region.

    Parameters
    ----------
    chunk
        A chunk, or what there is of it at the end of the data.
    index
        Its place in the grid.
    grid
        The shape of chunks.
    bounds
        The region, which the chunk touches.
    out
        Where to, of the region's shape.
    """
    source, target = [], []
    for (begin, end), i, size, n in zip(bounds, index, grid, chunk.shape, strict=True):
        first = i * size
        low, high = max(begin, first), min(end, first + n)
        source.append(slice(low - first, high - first))
        target.append(slice(low - begin, high - begin))
    out[tuple(target)] = chunk[tuple(source)]


def format_bounds(bounds: Bounds) -> str:
    """Write a region as one would index with it.

    >>> format_bounds(((0, 10), (20, 25)))
    '[0:10, 20:25]'
    """
    return "[" + ", ".join(f"{begin}:{end}" for begin, end in bounds) + "]"


def default_chunks(
    shape: Sequence[int], itemsize: int, block: Sequence[int] | None = None
) -> tuple[int, ...]:
    """Choose chunks of at most `CHUNK_BYTES`.

    With ``block``, the shape that one writer writes at a time, every chunk lies in a single
    block as long as blocks start at multiples of their shape: writers that run side by side
    then never share a chunk.

    Parameters
    ----------
    shape
        The dataset's shape in voxels, channels included.
    itemsize
        Bytes of one voxel.
    block
        Shape of a block in voxels, of as many axes.

    Raises
    ------
    ValueError
        If ``block`` has another number of axes.

    Examples
    --------
    >>> default_chunks((1000, 1000, 1000), 1)
    (63, 125, 125)
    >>> default_chunks((3, 1000, 1000), 4, block=(3, 300, 300))
    (3, 150, 300)
    """
    if block is not None and len(block) != len(shape):
        raise ValueError(
            f"block {tuple(block)} has {len(block)} axes, the dataset has {len(shape)}"
        )
    limit = [max(1, size) for size in (shape if block is None else block)]
    chunks = list(limit)
    while math.prod(chunks) * itemsize > CHUNK_BYTES and max(chunks) > 1:
        longest = max(range(len(chunks)), key=chunks.__getitem__)
        smaller = _next_divisor if block is not None else _half
        chunks[longest] = smaller(chunks[longest], limit[longest])
    return tuple(chunks)


def _half(size: int, _whole: int) -> int:
    return -(-size // 2)


def _next_divisor(size: int, whole: int) -> int:
    return next(smaller for smaller in range(size - 1, 0, -1) if whole % smaller == 0)
