"""What goes wrong with disks, said in the same words for all formats."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from voxflow.stores.errors import DiskFull, ReadOnly, StoreError

__all__ = ["disk_errors", "need_room"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
_MARGIN = 2 << 20  # what HDF5 keeps back in memory, and what it writes besides voxels


@contextlib.contextmanager
def disk_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn errors of the operating system into ours.

    Parameters
    ----------
    uri
        Of the dataset.
    doing
        ``"written"`` or ``"made"``.

    Raises
    ------
    DiskFull
        If the disk is full.
    ReadOnly
        If it may not be written to.

    Examples
    --------
    >>> with disk_errors("a.zarr:raw", "written"):
    ...     raise OSError(errno.ENOSPC, "No space left on device")
    Traceback (most recent call last):
    ...
    voxflow.stores.errors.DiskFull: a.zarr:raw cannot be written: the disk is full. ...
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"{uri} cannot be {doing}: the disk is full. Make room, and run it again ({error})"
            ) from error
        if error.errno in _REFUSED:
            raise ReadOnly(f"{uri} cannot be {doing}: check its permissions ({error})") from error
        raise


def need_room(filename: str, nbytes: int) -> None:
    """Raise if a disk has no room for so much, before it is written.

    For HDF5, which brings down the process if it finds the disk full when it closes a file.

    Raises
    ------
    OSError
        If there is too little.
    """
    disk = os.statvfs(filename)
    there = disk.f_bavail * disk.f_frsize
    if there < nbytes + _MARGIN:
        raise OSError(
            errno.ENOSPC, f"{nbytes} bytes are to be written, and no more than {there} are free"
        )
