"""Arrays that wait in a file until they are needed again."""

from __future__ import annotations

import tempfile
import weakref
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

from voxflow.segmentation.scratch import Scratch
from voxflow.stores.disk import disk_errors
from voxflow.stores.whole_arrays import save_array

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Stack"]


class Stack:
    """A stack of arrays in a file without a name, which is gone when nobody uses it any more.

    Parameters
    ----------
    folder
        Where the file lies. None: where temporary files do.

    Examples
    --------
    >>> stack = Stack()
    >>> stack.push(np.arange(3), np.float32([[0.5, 1]]))
    >>> stack.push(np.array([True]))
    >>> [values.tolist() for values in stack.pop(1)]
    [[True]]
    >>> [values.tolist() for values in stack.pop(2)]
    [[0, 1, 2], [[0.5, 1.0]]]
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._where = str(folder or tempfile.gettempdir())
        self._scratch = Scratch(folder)
        with disk_errors(self._where, "written"):
            # Without a buffer, the memory of arrays itself is read and written.
            file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
        self._file = file
        weakref.finalize(self, file.close)
        self._begins = array("q")

    def push(self, *arrays: npt.NDArray[Any]) -> None:
        """Put arrays on top."""
        with disk_errors(self._where, "written"):
            for values in arrays:
                self._begins.append(self._file.tell())
                save_array(self._file, values)

    def pop(self, count: int) -> list[npt.NDArray[Any]]:
        """Take arrays from the top, in the order in which they were pushed."""
        begin = self._begins[-count]
        self._file.seek(begin)
        found = [self._read() for _ in range(count)]
        del self._begins[-count:]
        self._file.seek(begin)
        self._file.truncate()
        return found

    def _read(self) -> npt.NDArray[Any]:
        """The array that lies in the file where it is read now."""
        npy.read_magic(self._file)
        shape, _, dtype = npy.read_array_header_1_0(self._file)
        out = self._scratch.empty(shape, dtype)
        left = out.reshape(-1).view(np.uint8)
        while left.size:
            count = self._file.readinto(left.data)
            if not count:
                raise OSError(f"a file of arrays that were put aside, in {self._where}, is cut off")
            left = left[count:]
        return out
