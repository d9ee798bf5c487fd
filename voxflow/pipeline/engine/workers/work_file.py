"""Work in a file, for workers that this process does not start itself."""

from __future__ import annotations

import mmap
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import dill  # type: ignore[import-untyped]

from .packing import adopt_main_classes, pack_by_value
from .slots import load_placed, place_packed

__all__ = ["read_work", "write_work"]


def write_work(path: Path, work: Any) -> None:
    """Pickle something by value into a file, its large arrays apart in ``path.arrays``.

    Raises
    ------
    Exception
        Whatever pickling raises.
    """
    packed = pack_by_value(work)
    apart = path.with_name(f"{path.name}.arrays")
    partial = path.with_name(f"{path.name}.partial")
    nbytes = 0

    def memory(size: int) -> memoryview:
        nonlocal nbytes
        nbytes = size
        # A new file: somebody may have the one that was there in memory.
        apart.unlink(missing_ok=True)
        with open(apart, "wb+") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return memoryview(mmap.mmap(file.fileno(), size))

    stream, parts = place_packed(packed, memory)
    partial.write_bytes(pickle.dumps((sys.argv, stream, parts, nbytes)))
    partial.replace(path)


def read_work(path: Path) -> Any:
    """Rebuild what `write_work` wrote.

    Large arrays lie in the file's memory, once for all workers of a machine, until one of them
    changes its own.
    """
    sys.argv, stream, parts, nbytes = pickle.loads(path.read_bytes())
    exporter: Any = b""
    if nbytes:
        with open(path.with_name(f"{path.name}.arrays"), "rb") as file:
            exporter = mmap.mmap(file.fileno(), nbytes, access=mmap.ACCESS_COPY)
    work = load_placed(stream, parts, exporter, dill.loads)
    adopt_main_classes()
    return work
