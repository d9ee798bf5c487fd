"""The work of a pool, pickled once for all of its workers."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from typing import Any

from .blame import find_unpicklable
from .child import Welcome
from .errors import NotPicklable
from .packing import Packed, pack_by_value
from .shared import shipping
from .slots import anonymous_memory, place_packed


def pack_work(
    serve: Callable[[Any], Any], setup: Callable[[], None] | None
) -> tuple[int, Welcome, list[int]]:
    """Pickle the work, once for all workers; raise before anything has been started.

    Returns the descriptor of the work, the first message, and descriptors of shared memory.

    Raises
    ------
    NotPicklable
        If a part of it cannot be sent; it says which.
    """
    with shipping() as shared:
        packed = _pack_or_blame(serve, setup)
    fd, size = -1, 0

    def memory(nbytes: int) -> memoryview:
        nonlocal fd, size
        fd, size = anonymous_memory(nbytes), nbytes
        return memoryview(mmap.mmap(fd, nbytes))

    stream, parts = place_packed(packed, memory)
    if fd < 0:
        fd = anonymous_memory(0)
    welcome = Welcome(os.getpid(), list(sys.argv), stream, parts, size)
    return fd, welcome, [os.dup(number) for number in shared]


def _pack_or_blame(serve: Callable[[Any], Any], setup: Callable[[], None] | None) -> Packed:
    try:
        return pack_by_value((serve, setup))
    except Exception as error:
        found = find_unpicklable(serve, pack_by_value, "serve")
        if found is None and setup is not None:
            found = find_unpicklable(setup, pack_by_value, "setup")
        path, reason = found or ("serve", error)
        raise NotPicklable(
            f"The work cannot be sent to worker processes: {path} cannot be pickled "
            f"({type(reason).__name__}: {reason}). Create it in the worker, at first use; or "
            'take threads, method="thread"; or no workers, num_workers=0.'
        ) from error
