"""A file that one process has at a time."""

from __future__ import annotations

import fcntl

__all__ = ["lock_file"]


def lock_file(file: int) -> bool:
    """Lock an open file, until it is closed or this process ends, however that is.

    Parameters
    ----------
    file
        Its descriptor, open for writing.

    Returns
    -------
    bool
        False if somebody else has locked it. On a file system without locks nobody is kept out.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.NamedTemporaryFile() as mine, open(mine.name, "r+b") as other:
    ...     lock_file(mine.fileno()), lock_file(other.fileno())
    (True, False)
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # there are no locks here
        pass
    return True
