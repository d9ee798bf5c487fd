"""What malloc keeps of memory that was freed: little, so that a scan takes what it says.

With glibc, each thread takes memory from a heap of its own, up to eight for each processor, and
what is freed goes back to the heap it is from. The chunks that a scan keeps are decoded by
whichever thread of tensorstore is free. So in the course of a large volume each heap grows to what
once was decoded by its threads, and most of that lies unused.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voxflow.pipeline.engine import MemoryBound

__all__ = ["Ceiling", "share_heap"]

_M_ARENA_MAX = -8
_STATM = "/proc/self/statm"


def share_heap() -> None:
    """Let threads share the heaps that there are, rather than add their own.

    It lasts for all of this process, and is of most use before threads are started. Where the
    environment says how many heaps there are to be, that counts; other mallocs than glibc's are
    left alone.
    """
    said = "MALLOC_ARENA_MAX" in os.environ
    if not said and "arena_max" not in os.environ.get("GLIBC_TUNABLES", ""):
        _glibc("mallopt", _M_ARENA_MAX, 1)


class Ceiling:
    """Has malloc give back what is free when this process has grown too large.

    That takes time, and so does taking memory anew: what it is not below afterwards, it may exceed
    by a sixteenth of what it may take before it is done again. So much is left for that.

    Parameters
    ----------
    bound
        How much more than now this process may take; it is looked at it after each block.
    """

    def __init__(self, bound: MemoryBound) -> None:
        self._slack = bound.bytes // 16
        # Between two looks, one block is made, and another one is read ahead.
        self._between = max(1, bound.block.bytes + bound.ahead_bytes)
        self._most = _resident() + bound.bytes - self._between - self._slack
        self._left = 0

    def look(self) -> None:
        """Look whether it is too large now."""
        if self._left:  # so few blocks cannot have made it too large
            self._left -= 1
            return
        # The peak, which takes a quarter of the time, mostly says that there is nothing to see.
        peak = _peak()
        if peak <= self._most:
            self._left = (self._most - peak) // self._between
        elif _resident() > self._most:
            _glibc("malloc_trim", 0)
            self._most = max(self._most, _resident() + self._slack)


def _resident() -> int:
    """Bytes of memory that this process has; 0 where that is not known."""
    if sys.platform != "linux":
        return 0
    file = os.open(_STATM, os.O_RDONLY)
    try:
        return int(os.read(file, 128).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    finally:
        os.close(file)


def _peak() -> int:
    """The most bytes of memory that this process ever had, or one that it was forked from."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _glibc(function: str, *arguments: int) -> None:
    """Call a function of the C library, if it is there."""
    found: Any = getattr(ctypes.CDLL(None), function, None) if sys.platform == "linux" else None
    if found is not None:
        found(*arguments)
