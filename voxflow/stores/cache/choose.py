"""What a user says of caching, and what follows from it."""

from __future__ import annotations

from typing import Any, Literal

from voxflow.stores.base import StoredDataset

from .arena import Arena, default_arena
from .cached import CachedDataset
from .preloaded import PreloadedDataset

__all__ = ["Cache", "parse_cache", "with_cache"]

Cache = Literal["ram"] | int | Arena | None
"""None: decoded chunks are kept within the budget that all sources share. A number: within a budget
of so many bytes of its own; 0: not at all. "ram": the whole dataset is read once, at setup."""


def parse_cache(cache: Any) -> Cache:
    """Check what a user says.

    Raises
    ------
    ValueError
        If it is none of what `Cache` says.
    """
    whole = isinstance(cache, int) and not isinstance(cache, bool) and cache >= 0
    if cache is None or cache == "ram" or whole or isinstance(cache, Arena):
        return cache  # type: ignore[no-any-return]
    raise ValueError(
        f"cache is None, 'ram', or the bytes that decoded chunks may take (0: none), got {cache!r}"
    )


def with_cache(dataset: StoredDataset, cache: Cache) -> StoredDataset:
    """A dataset whose voxels are kept in memory that workers share, as far as is wanted.

    Parameters
    ----------
    dataset
        Open for reading.
    cache
        What is wanted. What lies in memory already stays there.
    """
    if dataset.look((slice(0, 0),) * len(dataset.shape)) is not None:
        return dataset
    arena = default_arena()
    if isinstance(cache, Arena):
        arena = cache
    elif isinstance(cache, int):
        arena = Arena(cache)
    if cache == "ram":
        return PreloadedDataset(dataset, arena)
    if dataset.read_grid is None or not arena.budget:
        return dataset
    return CachedDataset(dataset, arena)
