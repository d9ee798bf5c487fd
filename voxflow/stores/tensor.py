"""Datasets that tensorstore reads and writes, for formats whose metadata are their own."""

from __future__ import annotations

import contextlib
import math
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.stores.base import (
    Attrs,
    MissingChunks,
    Mode,
    StoredDataset,
    missing_chunk,
    parse_choice,
)
from voxflow.stores.errors import ReadOnly
from voxflow.stores.grid import Index, chunk_bounds, chunks_of
from voxflow.stores.remote import (
    check_home,
    explain,
    is_lost,
    join,
    kvstore_spec,
    open_array,
    wait_for,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["TensorDataset"]


class TensorDataset(StoredDataset):
    """A dataset of a folder or URL, held by name: opened when needed, and anew in every process.

    Both N5 and precomputed have x first; here, as everywhere, it comes last.

    Parameters
    ----------
    root
        A folder or URL.
    path
        Of the dataset in it.
    mode
        ``"r"`` or ``"r+"``.
    missing_chunks
        What reading a chunk that is not stored means.
    """

    _driver: str

    def __init__(
        self, root: str, path: str, mode: Mode = "r", missing_chunks: MissingChunks = "error"
    ) -> None:
        super().__init__(mode)
        self._root, self._path = root, path
        self._missing = parse_choice("missing_chunks", missing_chunks, ("error", "fill"))
        self._opened: tuple[int, Any] = (-1, None)
        array = self._array()
        self._shape = tuple(int(extent) for extent in array.shape)
        self._dtype: np.dtype[Any] = np.dtype(array.dtype.numpy_dtype).newbyteorder("=")
        layout = array.chunk_layout
        self._chunks = tuple(int(n) for n in layout.write_chunk.shape)
        self._grid = tuple(int(n) for n in layout.read_chunk.shape)

    @abstractmethod
    def _arranged(self, array: Any) -> Any:
        """Tensorstore's array with our axes, counted from 0."""

    def _spec(self) -> dict[str, Any]:
        return {
            "driver": self._driver,
            "kvstore": kvstore_spec(self.folder),
            "fill_missing_data_reads": self._missing == "fill",
            "store_data_equal_to_fill_value": True,
        }

    @property
    def folder(self) -> str:
        """Where the dataset is."""
        return join(self._root, self._path)

    @property
    def uri(self) -> str:
        """Folder or URL, and dataset, for messages."""
        return f"{self._root}:{self._path}"

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels: shards where there are such, else chunks."""
        return self._chunks

    @property
    def read_grid(self) -> tuple[int, ...] | None:
        """The chunks, in shards too."""
        return self._grid

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None that speak of the dataset."""
        return ()

    @property
    def concurrent(self) -> bool:
        """Several threads read at the same time."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": (-1, None)}

    def _array(self) -> Any:
        """Give tensorstore's array of this process."""
        check_home(self.uri)
        pid, array = self._opened
        if pid != os.getpid():
            opened = open_array(self._spec(), self.uri, open=True, read=True, write=self.writable)
            array = self._arranged(opened)
            self._opened = os.getpid(), array
        return array

    @property
    def writable(self) -> bool:
        """Whether it is open for writing."""
        return self.mode == "r+"

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        array = self._array()
        if any(begin == end for begin, end in bounds):
            return np.empty([end - begin for begin, end in bounds], self._dtype)
        try:
            nbytes = math.prod(end - begin for begin, end in bounds) * self._dtype.itemsize
            data = wait_for(array[region].read(order="C"), self._root, nbytes)
        except ValueError as error:
            if self._missing == "error" and str(error).startswith("NOT_FOUND"):
                raise self._which_are_missing(array, bounds, error) from None
            raise self._explain(error, "read") from error
        return np.asarray(data, self._dtype, order="C")

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        self._begin_write(region, bounds, data)()

    def _begin_write(
        self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]
    ) -> Callable[[], None]:
        with self._writing():
            written = self._array()[region].write(np.ascontiguousarray(data, self._dtype))

        def wait() -> None:
            with self._writing():
                wait_for(written, self._root, data.nbytes)

        return wait

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except NotImplementedError as error:
            raise ReadOnly(f"{self.uri} cannot be written to: its server only reads") from error
        except ValueError as error:
            raise self._explain(error, "written") from error

    def _explain(self, error: ValueError, doing: str) -> Exception:
        if is_lost(error):  # what is asked for next does not wait for what hangs
            self._opened = (-1, None)
        return explain(error, self.uri, doing)

    def _which_are_missing(self, array: Any, bounds: Bounds, error: ValueError) -> Exception:
        """Look which of the region's chunks are not stored, after reading hit one of them."""
        touched = list(chunks_of(bounds, self._grid))
        missing: list[Index] = []
        for index in touched:
            first = tuple(b for b, _ in chunk_bounds(index, self._grid, self.shape))
            try:
                wait_for(array[first].read(), self._root)
            except ValueError as absent:
                if not str(absent).startswith("NOT_FOUND"):
                    return explain(absent, self.uri, "read")
                missing.append(index)
        if not missing:  # written in between
            return explain(error, self.uri, "read")
        return missing_chunk(self, bounds, missing, len(touched), grid=self._grid, fill=0)
