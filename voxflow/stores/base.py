"""The one interface to array data in files and memory.

Sources, sinks, snapshots and commands know a `Dataset`; a format is one file beside this one that
makes `StoredDataset` concrete. What every format must hold is written down as tests in
`voxflow.testing.stores`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, MutableMapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Protocol

import numpy as np

from voxflow.stores.disk import disk_errors
from voxflow.stores.errors import (
    MissingChunk,
    ReadOnly,
    StoreError,
    StoreUnreachable,
)
from voxflow.stores.grid import Bounds, Index, chunk_bounds, format_bounds
from voxflow.stores.region import check_data, parse_region, slices_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.pool import ChunkPool

__all__ = [
    "Attrs",
    "Compression",
    "Dataset",
    "Exist",
    "MissingChunks",
    "Mode",
    "StoredDataset",
    "parse_choice",
    "parse_region",
]

Attrs = MutableMapping[str, Any]
"""The attributes of a dataset or a group."""

Mode = Literal["r", "r+"]
"""Read, or read and write what exists."""

MissingChunks = Literal["error", "fill"]
"""What reading a chunk that is not stored means."""

Exist = Literal["open", "error", "overwrite"]
"""What to do where the dataset to be made is there already."""

Compression = str | int | None
"""None, a codec as ``"zstd"``, ``"zstd:3"`` or ``"blosc:lz4"``, or the level (0-9) of gzip."""


class Dataset(Protocol):
    """An n-d array somewhere, read and written by regions in voxels.

    ``read`` gives a new array of native byte order that belongs to the caller. Nothing is ever
    clipped or cast: a region has to lie inside, data have to fit.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent in voxels, channels included."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel."""
        ...

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels: two writers must not share a cell; None if unchunked.

        It is the shard's shape where chunks are gathered in shards.
        """
        ...

    @property
    def attrs(self) -> Attrs:
        """The dataset's own attributes."""
        ...

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """The groups above, nearest first: path of the dataset in the group, and its attributes."""
        ...

    @property
    def uri(self) -> str:
        """Where it is, for messages: file and name."""
        ...

    def read(self, region: Sequence[slice]) -> NDArray[Any]:
        """Read a region: a slice for each axis, axes left out at the end are taken whole."""
        ...

    def write(self, region: Sequence[slice], data: NDArray[Any]) -> None:
        """Write data of the region's shape and the dataset's dtype."""
        ...


class StoredDataset(ABC):
    """What all formats share: the checks around reading and writing.

    A format sets ``_shape`` and ``_dtype``, and gives the other properties of `Dataset` and
    ``_read`` and ``_write``, which may trust their arguments.

    Parameters
    ----------
    mode
        ``"r"`` or ``"r+"``.
    """

    _shape: tuple[int, ...]
    _dtype: np.dtype[Any]

    def __init__(self, mode: Mode) -> None:
        self.mode: Mode = parse_choice("mode", mode, ("r", "r+"))

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent in voxels, channels included."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel, in native byte order."""
        return self._dtype

    @property
    @abstractmethod
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels; None if unchunked."""

    @property
    @abstractmethod
    def attrs(self) -> Attrs:
        """The dataset's own attributes."""

    @property
    @abstractmethod
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """The groups above, nearest first: path of the dataset in the group, and its attributes."""

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where it is, for messages."""

    @abstractmethod
    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        """Read a region that lies inside."""

    @abstractmethod
    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        """Write data that fit."""

    def _begin_write(
        self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]
    ) -> Callable[[], None] | None:
        """Begin to write data that fit; give what waits for it. None: it has to be done here."""
        return None

    def read(self, region: Sequence[slice] = ()) -> NDArray[Any]:
        """Read a region into a new array.

        Parameters
        ----------
        region
            A slice of voxels for each axis; axes left out at the end are taken whole.

        Returns
        -------
        ndarray
            Of the region's shape and the dataset's dtype, owned by the caller.

        Raises
        ------
        OutOfBounds
            If the region is not inside the dataset.
        MissingChunk
            If a chunk of it is not stored, unless the dataset was opened to fill such.
        """
        return self._named_read(parse_region(region, self.shape, self.uri))

    def _named_read(self, bounds: Bounds) -> NDArray[Any]:
        try:
            return self._read(slices_of(bounds), bounds)
        except StoreUnreachable as error:
            _name_region(error, bounds)
            raise

    def write(self, region: Sequence[slice], data: NDArray[Any]) -> None:
        """Write data into a region.

        Parameters
        ----------
        region
            A slice of voxels for each axis; axes left out at the end are taken whole.
        data
            Of the region's shape and the dataset's dtype.

        Raises
        ------
        ReadOnly
            If the dataset was opened for reading.
        OutOfBounds
            If the region is not inside the dataset.
        DataMismatch
            If the data have another shape or dtype.
        DiskFull
            If there is no room.
        """
        bounds, data = self._to_write(region, data)
        try:
            self._write(slices_of(bounds), bounds, data)
        except Exception as error:
            self._not_written(error, bounds)

    def begin_write(self, region: Sequence[slice], data: NDArray[Any]) -> Callable[[], None] | None:
        """Begin to write data into a region beside what is done here.

        Parameters
        ----------
        region
            A slice of voxels for each axis; axes left out at the end are taken whole.
        data
            Of the region's shape and the dataset's dtype. They must not change until it is done.

        Returns
        -------
        Callable or None
            What waits until it is done, and raises as `write` does. None: nothing is begun, as
            `write` would take this thread for it.

        Raises
        ------
        ReadOnly, OutOfBounds, DataMismatch
            As `write` does.
        """
        bounds, data = self._to_write(region, data)
        try:
            begun = self._begin_write(slices_of(bounds), bounds, data)
        except Exception as error:
            self._not_written(error, bounds)
        return None if begun is None else partial(self._finish, begun, bounds)

    def _finish(self, begun: Callable[[], None], bounds: Bounds) -> None:
        try:
            begun()
        except Exception as error:
            self._not_written(error, bounds)

    def _not_written(self, error: Exception, bounds: Bounds) -> NoReturn:
        if isinstance(error, StoreUnreachable):
            _name_region(error, bounds)
        with disk_errors(self.uri, "written"):
            raise error

    def _to_write(self, region: Sequence[slice], data: NDArray[Any]) -> tuple[Bounds, NDArray[Any]]:
        if self.mode == "r":
            raise ReadOnly(f"{self.uri} is open for reading only: open it with mode='r+' to write")
        bounds = parse_region(region, self.shape, self.uri)
        data = np.asarray(data)
        check_data(data, bounds, self.dtype, self.uri)
        return bounds, data

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """The grid of what is decoded at once, in voxels; None if nothing has to be decoded."""
        return None

    def fetch(self, index: Index) -> NDArray[Any]:
        """Read one chunk of `read_grid`, cut off at the end of the data; the caller's own or not.

        Parameters
        ----------
        index
            Its place in the grid.

        Raises
        ------
        MissingChunk
            If it is not stored, unless the dataset was opened to fill such.
        """
        return self._named_read(chunk_bounds(index, self.read_grid or self.shape, self.shape))

    def keeping(self, pool: ChunkPool) -> StoredDataset | None:
        """The same dataset for reading, which keeps decoded chunks itself, in this process.

        None if it does not know how, or has better be read through `voxflow.stores.cache`.
        """
        return None

    def look(self, region: Sequence[slice] = ()) -> NDArray[Any] | None:
        """A region where it lies in memory, to be read only; None if it does not lie there.

        Raises
        ------
        OutOfBounds
            If the region is not inside the dataset.
        """
        return None

    def kept_bytes(self, region: Sequence[slice] = ()) -> int:
        """How many bytes of decoded chunks stay in memory, once a region has been read."""
        return 0

    def decoded_bytes(self, region: Sequence[slice] = ()) -> int:
        """How many bytes are decoded for a region of which nothing is kept: of whole chunks."""
        bounds = parse_region(region, self.shape, self.uri)
        grid = self.read_grid or (1,) * len(bounds)
        touched = [
            (-(-end // size) - begin // size) * size if end > begin else 0
            for (begin, end), size in zip(bounds, grid, strict=True)
        ]
        return math.prod(touched) * self.dtype.itemsize

    @property
    def concurrent(self) -> bool:
        """Whether several threads can fetch chunks at the same time."""
        return False

    @property
    def waits(self) -> bool:
        """Whether reading is mostly waiting, so that `prefetch` is of use."""
        return False

    def prefetch(self, region: Sequence[slice] = ()) -> None:  # noqa: B027 - most read when asked
        """Begin to read a region that will be read soon, if that is of use; returns at once."""

    def read_ahead(self, region: Sequence[slice] = ()) -> None:  # noqa: B027 - most do nothing
        """Begin to read a region beside what is done here, to have it when it is read; a guess.

        Unlike `prefetch`, it is of use wherever reading leaves the interpreter to others. One
        region is read ahead at a time.
        """

    def flush(self) -> None:  # noqa: B027 - most formats keep nothing back
        """Hand what was written to the operating system, so that it outlives this process."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uri}: shape {self.shape}, {self.dtype}, {self.mode}>"


def _name_region(error: StoreUnreachable, bounds: Bounds) -> None:
    """Note which voxels a server was asked for, where it is lost."""
    error.add_note(f"It was asked for voxels {format_bounds(bounds)}.")


def parse_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return the value if it is one of the choices.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, got {value!r}")
    return value


def missing_chunk(
    dataset: StoredDataset,
    bounds: Bounds,
    missing: Sequence[Index],
    total: int,
    *,
    grid: Sequence[int],
    fill: Any,
    key: str | None = None,
    kind: str = "chunk",
) -> MissingChunk:
    """Make the error for chunks that are not stored: which, where, and what to do."""
    first = missing[0]
    name = f"{kind} {first}" + (f" (key {key!r})" if key else "")
    region = format_bounds(chunk_bounds(first, grid, dataset.shape))
    rest = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return MissingChunk(
        f"{dataset.uri}: {len(missing)} of the {total} {kind}s under voxels "
        f"{format_bounds(bounds)} are not stored: {name}, voxels {region}{rest}. "
        f"If it was written once, the file is damaged or its disk is gone: restore it or write the "
        f"region again. If its writer leaves out {kind}s that hold nothing but the fill value "
        f"{fill} (many do), read those as {fill} with missing_chunks='fill'."
    )


def wrong_compression(
    compression: Any,
    names: Sequence[str],
    where: str,
    levels: str = ", or a gzip level from 0 to 9",
) -> StoreError:
    """Make the error for a codec that a format does not have."""
    choices = ", ".join(map(repr, names))
    return StoreError(
        f"{where} cannot be compressed with {compression!r}: take None, {choices}{levels}"
    )
