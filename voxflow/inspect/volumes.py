"""Arrays that are read where they are looked at, in the types that a viewer knows."""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.inspect.arrays import open_array
from voxflow.inspect.read import pyramids
from voxflow.pictures.ids import as_uint64
from voxflow.stores import open_dataset
from voxflow.stores.cache.choose import with_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from voxflow.inspect.arrays import StoredArray
    from voxflow.inspect.find import Container
    from voxflow.stores import StoredDataset

__all__ = ["Level", "OnDemand", "levels_of", "read_coarse"]

_KNOWN = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float32")


class OnDemand:
    """An array of a file, of which each region is read when it is asked for.

    Chunks that are not stored are the fill value. Decoded chunks are kept, within the memory that
    `voxflow.stores.set_cache_size` says.

    Parameters
    ----------
    container
        The file.
    array
        The array.

    Attributes
    ----------
    shape
        In voxels: leading axes first, then those of space.
    dtype
        Of labels uint8 to uint64, by `as_uint64`; of others what neuroglancer knows, else float32.
    """

    def __init__(self, container: Container, array: StoredArray) -> None:
        stored = open_dataset(container.store, array.name, missing_chunks="fill")
        self._stored: StoredDataset = stored
        self._cached: StoredDataset | None = None
        self._caching = threading.Lock()
        lead = (axis for axis in range(len(stored.shape)) if axis not in array.spatial)
        self._order = (*lead, *array.spatial)
        self.shape = tuple(stored.shape[axis] for axis in self._order)
        self.dtype = _shown_type(stored.dtype, array.guess == "labels")
        reading: Any = contextlib.nullcontext() if stored.concurrent else threading.Lock()
        self._reading = reading

    def __getitem__(self, region: Sequence[slice]) -> NDArray[Any]:
        """Read a region: a slice for each axis of `shape`."""
        cut = [slice(None)] * len(self._order)
        for axis, part in zip(self._order, region, strict=True):
            cut[axis] = part
        with self._reading:
            data = self._dataset().read(cut)
        return _converted(data.transpose(self._order), self.dtype)

    def _dataset(self) -> StoredDataset:
        """With its cache, which takes open files: only arrays that are looked at have one."""
        with self._caching:
            if self._cached is None:
                self._cached = with_cache(self._stored, None)
            return self._cached

    @property
    def nbytes(self) -> int:
        """Of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def transpose(self) -> NDArray[Any]:
        """Read the whole array, the last axis first."""
        return self[(slice(None),) * len(self.shape)].transpose()


def _shown_type(dtype: np.dtype[Any], labels: bool) -> np.dtype[Any]:
    if labels:
        return dtype if dtype.kind == "u" else np.dtype(np.uint64)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    return dtype if dtype.name in _KNOWN else np.dtype(np.float32)


def _converted(data: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if data.dtype == dtype:
        return data
    if dtype == np.uint64:
        return as_uint64(data)
    return (np.abs(data) if data.dtype.kind == "c" else data).astype(dtype)


@dataclass(frozen=True)
class Level:
    """One level of an array.

    Parameters
    ----------
    data
        Its voxels.
    factors
        How much larger than those of the finest level they are, along each axis of ``data``.
    """

    data: OnDemand
    factors: tuple[float, ...]

    @property
    def factor(self) -> float:
        """How many voxels of the finest level one of this is."""
        return math.prod(self.factors)


def levels_of(container: Container, array: StoredArray, names: Sequence[str]) -> list[Level]:
    """Open an array, and the coarser levels of the pyramid that it is the finest one of.

    Parameters
    ----------
    container
        The file.
    array
        The array.
    names
        Of all datasets in the file.

    Returns
    -------
    list
        Finest first; levels of other axes than the finest are left out.
    """
    fine = OnDemand(container, array)
    found = [Level(fine, (1.0,) * len(fine.shape))]
    coarser = (paths[1:] for paths in pyramids(container, names).values() if paths[0] == array.name)
    for path in next(coarser, ()):
        level = open_array(container, path)
        if array.geometry is None or level.geometry is None or level.spatial != array.spatial:
            continue
        sizes = zip(level.geometry.voxel_size, array.geometry.voxel_size, strict=True)
        lead = (1.0,) * (len(fine.shape) - len(array.spatial))
        data = OnDemand(container, level)
        if data.shape[: len(lead)] == fine.shape[: len(lead)]:
            found.append(Level(data, lead + tuple(float(large / n) for large, n in sizes)))
    return sorted(found, key=lambda level: level.factor)


def read_coarse(
    levels: Sequence[Level], factors: Sequence[int], begin: Sequence[int], end: Sequence[int]
) -> NDArray[Any]:
    """Read a region of an array as if its voxels were larger.

    Voxels are those of the coarsest level that has at least as many, at the same place.

    Parameters
    ----------
    levels
        Of the array, finest first.
    factors
        How much larger voxels are.
    begin, end
        The region, in such voxels.
    """
    wanted = math.prod(factors)
    level = [level for level in levels if level.factor <= wanted][-1]
    places, region = [], []
    for axis, size in enumerate(level.data.shape):
        middles = (np.arange(begin[axis], end[axis]) + 0.5) * factors[axis] / level.factors[axis]
        place = np.minimum(middles.astype(np.int64), size - 1)
        region.append(slice(int(place[0]), int(place[-1]) + 1))
        places.append(place - place[0])
    return level.data[region][np.ix_(*places)]
