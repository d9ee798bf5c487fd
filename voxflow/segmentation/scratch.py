"""Arrays that lie in files, so that the system need not keep them in memory."""

from __future__ import annotations

import math
import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from voxflow.stores.disk import disk_errors
from voxflow.stores.whole_arrays import write_bytes_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Scratch"]

_SMALL = 1 << 17
"""Bytes of an array that is not worth a file."""


class Scratch:
    """Makes arrays of any size that take no memory which the system cannot take back.

    Each one that is not small is a file without a name, which is gone with the array.

    Parameters
    ----------
    folder
        Where the files lie. None: all is in memory.

    Examples
    --------
    >>> scratch = Scratch(tempfile.gettempdir())
    >>> values = scratch.full((1000, 1000), np.int32, -1)
    >>> values.shape, int(values.sum())
    ((1000, 1000), -1000000)
    >>> scratch.collected([np.arange(2), np.arange(3)], np.int64).tolist()
    [0, 1, 0, 1, 2]
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = folder

    def empty(self, shape: int | tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
        """An array of any values."""
        sides = shape if isinstance(shape, tuple) else (shape,)
        size = math.prod(sides) * np.dtype(dtype).itemsize
        if self._folder is None or size < _SMALL:
            return np.empty(shape, dtype)
        with (
            disk_errors(str(self._folder), "written"),
            tempfile.TemporaryFile(dir=self._folder) as file,
        ):
            _reserve(file.fileno(), size)
            return np.memmap(file, dtype, "r+", shape=shape).view(np.ndarray)

    def full(self, shape: int | tuple[int, ...], dtype: Any, value: float) -> npt.NDArray[Any]:
        """An array of one value."""
        out = self.empty(shape, dtype)
        out[...] = value
        return out

    def collected(self, arrays: Iterable[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
        """All that flat arrays of a dtype hold, which are looked at one at a time."""
        if self._folder is None:
            return np.concatenate([np.empty(0, dtype), *arrays])
        with (
            disk_errors(str(self._folder), "written"),
            tempfile.TemporaryFile(dir=self._folder) as file,
        ):
            count = 0
            for values in arrays:
                write_bytes_of(file, values)
                count += values.size
            file.flush()
            if count:
                return np.memmap(file, dtype, "r+", shape=count).view(np.ndarray)
        return np.empty(0, dtype)


def _reserve(file: int, size: int) -> None:
    """Make a file as large as that: what is mapped and finds no room ends the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)
