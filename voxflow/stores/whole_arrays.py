"""Arrays written to plain files, such that a full disk is an error.

What numpy itself writes (`numpy.save` to a file on a disk, `ndarray.tofile`) waits in a buffer if
it is small, and nobody is told if there was no room for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy

if TYPE_CHECKING:
    from typing import IO

    import numpy.typing as npt

__all__ = ["save_array", "write_bytes_of"]


def write_bytes_of(file: IO[bytes], values: npt.NDArray[Any]) -> None:
    """Write the bytes of an array, in C order.

    Raises
    ------
    OSError
        If they cannot be written; from a file with a buffer, when that is flushed or closed.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write_bytes_of(file, np.array([[1, 2]], np.uint8))
    >>> file.getvalue()
    b'\\x01\\x02'
    """
    left = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    while left.nbytes:  # a file without a buffer may take a part
        left = left[file.write(left) :]


def save_array(file: IO[bytes], values: npt.NDArray[Any]) -> None:
    """Write an array as `numpy.save` does, for `numpy.load`.

    Raises
    ------
    OSError
        As by `write_bytes_of`.
    """
    values = np.asarray(values, order="C")
    npy.write_array_header_1_0(file, npy.header_data_from_array_1_0(values))
    write_bytes_of(file, values)
