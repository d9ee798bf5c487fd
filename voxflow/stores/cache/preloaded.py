"""A whole dataset in memory, once for all processes."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from voxflow.pipeline.data.copying import copied
from voxflow.pipeline.engine.workers import free_memory
from voxflow.pipeline.engine.workers.shared import is_shipping
from voxflow.stores.base import Attrs, StoredDataset, parse_region
from voxflow.stores.errors import StoreUnusable

from .arena import PAGE, Arena, default_arena

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["PreloadedDataset"]

_BLOCK = 64 << 20  # bytes that are read at once where there are no chunks
_QUICK = 1 << 28  # bytes that need no bar


class PreloadedDataset(StoredDataset):
    """A dataset that is read as a whole when it is made, into memory that workers share.

    Values keep the type that they have in the file.

    Parameters
    ----------
    dataset
        What to read.
    arena
        Where the memory comes from. What is preloaded stays, and does not count for its budget.

    Raises
    ------
    StoreUnusable
        If there is not so much memory.
    MissingChunk
        If a chunk is not stored, unless the dataset was opened to fill such.
    """

    def __init__(self, dataset: StoredDataset, arena: Arena) -> None:
        super().__init__("r")
        self._dataset, self._arena = dataset, arena
        self._shape, self._dtype = dataset.shape, dataset.dtype
        self._nbytes = math.prod(self._shape) * self._dtype.itemsize
        self._check_memory()
        self._begin = arena.allocate(max(1, self._nbytes))
        self._map()
        # Not when a worker's copy goes: the memory is everybody's.
        weakref.finalize(self, self._range.release, 0, -(-self._nbytes // PAGE) * PAGE)
        self._load()

    def _map(self) -> None:
        self._range = self._arena.map(self._begin, max(1, self._nbytes))
        self._array: NDArray[Any] = self._range.bytes[: self._nbytes].view(self._dtype)
        self._array = self._array.reshape(self._shape)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if is_shipping():
            return super().__reduce_ex__(protocol)
        return _anew, (self._dataset,)  # elsewhere it is read anew

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_range", "_array")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def _check_memory(self) -> None:
        free = free_memory()
        if self._nbytes > free:
            raise StoreUnusable(
                f"{self.uri} takes {self._nbytes / 2**30:.1f} GiB in memory, and "
                f"{free / 2**30:.1f} GiB are free: leave out cache='ram', so that only what was "
                "read lately is kept"
            )

    def _load(self) -> None:
        blocks = list(_blocks(self._shape, self._dataset.read_grid, self._dtype.itemsize))
        bar = tqdm(
            blocks, f"reading {self.uri}", unit="block", leave=False, disable=self._nbytes < _QUICK
        )
        for region in bar:
            self._array[region] = self._dataset.read(region)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels."""
        return self._dataset.chunks

    @property
    def attrs(self) -> Attrs:
        """The dataset's own attributes."""
        return self._dataset.attrs

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """The groups above."""
        return self._dataset.ancestors

    @property
    def uri(self) -> str:
        """Where it is, for messages."""
        return self._dataset.uri

    def look(self, region: Sequence[slice] = ()) -> NDArray[Any]:
        """A region where it lies."""
        bounds = parse_region(region, self.shape, self.uri)
        seen = self._array[tuple(slice(begin, end) for begin, end in bounds)]
        seen.flags.writeable = False
        return seen

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        return copied(self._array[region])

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        raise NotImplementedError("a preloaded dataset is for reading only")


def _blocks(
    shape: tuple[int, ...], grid: tuple[int, ...] | None, itemsize: int
) -> Iterator[tuple[slice, ...]]:
    """Regions that are read one after the other: whole chunks, of some size together."""
    sizes = list(grid or (1,) * len(shape))
    for axis in reversed(range(len(shape))):
        per_step = math.prod(sizes) * itemsize
        steps = max(1, _BLOCK // max(1, per_step))
        sizes[axis] = min(sizes[axis] * steps, max(1, shape[axis]))
    return (
        tuple(slice(i, min(i + n, extent)) for i, n, extent in zip(at, sizes, shape, strict=True))
        for at in itertools.product(
            *(range(0, extent, n) for extent, n in zip(shape, sizes, strict=True))
        )
    )


def _anew(dataset: StoredDataset) -> StoredDataset:
    return PreloadedDataset(dataset, default_arena())
