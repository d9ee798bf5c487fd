"""Datasets in files that are used like h5py's, and opened by whoever knows how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from voxflow.stores.base import Attrs, Mode, StoredDataset
from voxflow.stores.errors import DatasetNotFound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxflow.stores.grid import Bounds

__all__ = ["LikeHdf5Dataset", "Opener"]


class Opener(Protocol):
    """Who opens files, and knows where their datasets lie."""

    def _open_file(self, filename: Any) -> Any: ...
    def _get_voxel_size(self, dataset: Any) -> Any: ...
    def _get_offset(self, dataset: Any) -> Any: ...


class LikeHdf5Dataset(StoredDataset):
    """A dataset by file and name. The file is opened for each use, in any process.

    Parameters
    ----------
    opener
        Opens the file.
    filename
        What it opens.
    path
        Of the dataset in the file.
    mode
        ``"r"`` or ``"r+"``.

    Raises
    ------
    DatasetNotFound
        If the file has none of this name.
    """

    def __init__(self, opener: Opener, filename: Any, path: str, mode: Mode = "r") -> None:
        super().__init__(mode)
        self._opener, self._filename, self._path = opener, filename, path
        with opener._open_file(filename) as file:
            if path not in file:
                known = ", ".join(map(str, file)) or "nothing"
                raise DatasetNotFound(f"there is no {path!r} in {filename}; there is: {known}")
            dataset = file[path]
            self._shape = tuple(int(n) for n in dataset.shape)
            self._dtype = np.dtype(dataset.dtype).newbyteorder("=")
            chunks = getattr(dataset, "chunks", None)
            self._chunks = tuple(map(int, chunks)) if chunks else None
            self._attrs: dict[str, Any] = {**self._own_attrs(dataset), **self._told(dataset)}

    @staticmethod
    def _own_attrs(dataset: Any) -> dict[str, Any]:
        attrs = getattr(dataset, "attrs", None)
        return dict(attrs) if isinstance(attrs, Mapping) else {}

    def _told(self, dataset: Any) -> dict[str, Any]:
        """What the opener knows of a dataset, as attributes."""
        told = {
            "resolution": self._opener._get_voxel_size(dataset),
            "offset": self._opener._get_offset(dataset),
        }
        return {name: tuple(value) for name, value in told.items() if value is not None}

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The grid of writing in voxels; None if unchunked or not known."""
        return self._chunks

    @property
    def attrs(self) -> Attrs:
        """The attributes as they were when the dataset was found, and what the opener knows."""
        return self._attrs

    @property
    def ancestors(self) -> Sequence[tuple[str, Attrs]]:
        """None that are known of."""
        return ()

    @property
    def uri(self) -> str:
        """File and dataset, for messages."""
        return f"{self._filename}:{self._path}"

    def _read(self, region: tuple[slice, ...], bounds: Bounds) -> NDArray[Any]:
        with self._opener._open_file(self._filename) as file:
            return np.array(file[self._path][region], dtype=self._dtype, order="C")

    def _write(self, region: tuple[slice, ...], bounds: Bounds, data: NDArray[Any]) -> None:
        with self._opener._open_file(self._filename) as file:
            file[self._path][region] = data
