"""What lies in an HDF5 file, read without HDF5: compressed chunks, and data in one piece."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import deflate
import h5py
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MappedFile", "chunk_decoder", "mapped_file"]

Decoder = Callable[[bytes], "NDArray[Any]"]
"""From the bytes of a chunk to its voxels, in native byte order."""

# Filters, as HDF5 numbers them.
_DEFLATE, _SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE


def chunk_decoder(dataset: Any) -> Decoder | None:
    """What decodes a chunk of h5py's dataset; None if it takes HDF5 itself.

    Known are plain numbers, compressed by gzip, with or without bytes shuffled before.
    """
    if dataset.chunks is None or dataset.dtype.kind not in "biuf" or dataset.dtype.metadata:
        return None
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    if filters not in ([_DEFLATE], [_SHUFFLE, _DEFLATE]):
        return None
    shape, dtype = tuple(dataset.chunks), dataset.dtype
    nbytes = math.prod(shape) * dtype.itemsize
    shuffled = len(filters) == 2

    def decode(raw: bytes) -> NDArray[Any]:
        plain = np.frombuffer(deflate.zlib_decompress(raw, nbytes), np.uint8)
        if shuffled:
            plain = np.ascontiguousarray(plain.reshape(dtype.itemsize, -1).T).reshape(-1)
        chunk: NDArray[Any] = plain.view(dtype).reshape(shape)
        return chunk.astype(dtype.newbyteorder("="), copy=False)

    return decode


class MappedFile:
    """Data that lie in one piece in a file, mapped at their first use in each process."""

    def __init__(
        self, filename: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._filename, self._offset = filename, offset
        self._shape, self._dtype = shape, dtype
        self._opened: tuple[int, NDArray[Any] | None] = (-1, None)

    def array(self) -> NDArray[Any]:
        """All of it, read-only."""
        pid, array = self._opened
        if array is None or pid != os.getpid():
            mapped = np.memmap(self._filename, self._dtype, "r", self._offset, self._shape)
            array = mapped.view(np.ndarray)
            self._opened = os.getpid(), array
        return array


def mapped_file(dataset: Any, filename: str) -> MappedFile | None:
    """Map h5py's dataset; None if it does not lie in the file as numpy would have it."""
    native = dataset.dtype == dataset.dtype.newbyteorder("=")
    plain = dataset.chunks is None and dataset.dtype.kind in "biuf" and native
    offset = dataset.id.get_offset() if plain and dataset.external is None else None
    if offset is None or not dataset.size or dataset.is_virtual:
        return None
    return MappedFile(filename, int(offset), tuple(dataset.shape), dataset.dtype)
