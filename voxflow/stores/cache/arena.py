"""The memory that decoded data lie in: one piece for a process and all of its workers."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from voxflow.pipeline.engine.workers import memory_limit
from voxflow.pipeline.engine.workers.shared import SharedMemory
from voxflow.stores.pool import ChunkPool

__all__ = ["PAGE", "Arena", "Evictable", "Range", "default_arena", "set_cache_size"]

PAGE = mmap.ALLOCATIONGRANULARITY
"""Ranges begin at multiples of so many bytes."""

_VARIABLE = "VOXFLOW_CACHE_BYTES"
_MOST = 4 << 30
_PART_OF_MEMORY = 4

# The first page: how far ranges reach, and how many bytes of chunks there are.
_TOP, _USED = 0, 1
_NUMBERS = 0  # the byte that stands for them in locks


class Range:
    """A part of an arena, as this process sees it.

    Attributes
    ----------
    begin
        Where it begins in the arena.
    bytes
        What is in it.
    """

    def __init__(self, begin: int, view: mmap.mmap, nbytes: int, memory: SharedMemory) -> None:
        self.begin = begin
        self._memory = memory
        self.bytes: NDArray[np.uint8] = np.frombuffer(view, np.uint8)[:nbytes]
        self._view = view

    def fill(self, first: int, data: NDArray[Any]) -> None:
        """Write data that are contiguous from some byte on.

        Of memory that is new, this takes half of the time of writing to `bytes`: the system need
        not clear it before, nor map it page by page.
        """
        rest = data.reshape(-1).view(np.uint8)
        while rest.size:
            done = os.pwrite(self._memory.fd, rest.data, self.begin + first)
            first, rest = first + done, rest[done:]

    def release(self, first: int, nbytes: int) -> None:
        """Give the memory of whole pages back to the system; they hold zeros then."""
        if hasattr(mmap, "MADV_REMOVE"):
            with contextlib.suppress(OSError):  # then it stays, and is used again
                self._view.madvise(mmap.MADV_REMOVE, first, nbytes)


class Evictable(Protocol):
    """Something in an arena that gives memory back when it runs out."""

    def evict(self) -> int:
        """Give up one thing that is not needed; how many bytes that are, 0 if there is none."""
        ...


class Arena:
    """Shared memory from which ranges are taken, and a budget for what may be forgotten again.

    Bytes of its file stand for what is locked, between processes; threads of one process have to
    see to themselves. A lock is gone when its process is. All locks of a process are gone when it
    closes any descriptor of the file, as each map has one: so maps are closed while it holds none.

    Parameters
    ----------
    budget
        How many bytes decoded chunks may take, of all datasets together.

    Attributes
    ----------
    pool
        Where datasets keep chunks themselves at present, see `alone`; None: they do not.
    """

    def __init__(self, budget: int) -> None:
        if budget < 0:
            raise ValueError(f"a cache cannot have {budget} bytes")
        self.budget = budget
        self._memory = SharedMemory(PAGE)
        self._setup()
        self._numbers[_TOP] = PAGE

    def _setup(self) -> None:
        self._unused: list[mmap.mmap] = []
        self._nobody()
        self._members: weakref.WeakSet[Any] = weakref.WeakSet()
        self._limits: list[int] = []
        self.pool: ChunkPool | None = None
        self._alone = 0
        self._first = self.map(0, PAGE)
        self._numbers = self._first.bytes.view(np.int64)
        _arenas.add(self)

    def _nobody(self) -> None:
        # What threads of this process do. After a fork they are not here any more.
        self._lock = threading.RLock()
        self._counting = threading.RLock()
        self._held = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"budget": self.room, "_memory": self._memory}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._setup()

    # -- ranges -----------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> int:
        """Take a range; give where it begins. It holds zeros, and takes no memory until written."""
        size = -(-nbytes // PAGE) * PAGE
        with self.locked(_NUMBERS):
            begin = int(self._numbers[_TOP])
            self._memory.grow(begin + size)
            self._numbers[_TOP] = begin + size
        return begin

    def map(self, begin: int, nbytes: int) -> Range:
        """A range, in this process, until nobody has it."""
        size = max(PAGE, -(-nbytes // PAGE) * PAGE)
        view = mmap.mmap(self._memory.fd, size, offset=begin)
        found = Range(begin, view, nbytes, self._memory)
        # Whoever comes to be asked in any thread at any time may only take note of it.
        weakref.finalize(found, self._unused.append, view).atexit = False
        return found

    def _close_unused(self) -> None:
        """Close maps that nobody has any more; while no lock is held, and none is taken."""
        for _ in range(len(self._unused)):
            view = self._unused.pop(0)
            try:
                view.close()
            except BufferError:  # somebody looks at a part of it still
                self._unused.append(view)

    # -- the budget -------------------------------------------------------------------------------

    def join(self, member: Evictable) -> None:
        """Let something be asked for memory when the budget is used up."""
        self._members.add(member)

    @property
    def used(self) -> int:
        """Bytes of decoded chunks that there are."""
        return int(self._numbers[_USED])

    @property
    def room(self) -> int:
        """Bytes that decoded chunks may take at present."""
        return min((self.budget, *self._limits))

    def share(self, count: int) -> int:
        """Bytes for each of several processes that keep chunks themselves and do the same work.

        Each comes back to as much as one alone would; but all together keep to the budget.
        """
        return min(self.room, self.budget // count)

    @contextlib.contextmanager
    def limited(self, nbytes: int) -> Iterator[None]:
        """Keep no more than so much of the budget meanwhile, here and in workers that are started.

        For work that goes through a volume in an order: more than what it comes back to soon would
        only fill memory.

        Examples
        --------
        >>> arena = Arena(4 << 30)
        >>> with arena.limited(256 << 20):
        ...     arena.room
        268435456
        """
        self._limits.append(nbytes)
        try:
            self.keep_to_budget()
            yield
        finally:
            self._limits.remove(nbytes)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let datasets that know how keep chunks themselves, as no other process shares them.

        A chunk is then neither copied into shared memory, nor gathered from there.
        """
        with self._lock:
            self._alone += 1
            self.pool = self.pool or ChunkPool(self.room)
        try:
            yield
        finally:
            # Scans of several threads end in any order: the last one ends it.
            with self._lock:
                self._alone -= 1
                if not self._alone:
                    self.pool = None

    def account(self, nbytes: int) -> None:
        """Say that chunks of so many bytes have been added (or, if negative, given up)."""
        with self.locked(_NUMBERS):
            self._numbers[_USED] = max(0, int(self._numbers[_USED]) + nbytes)

    def keep_to_budget(self) -> None:
        """Have members give chunks up until the budget holds, as far as they can."""
        members = list(self._members)
        idle = 0
        while self.used > self.room and members and idle < 2 * len(members):
            member = members.pop(0)
            members.append(member)
            idle = 0 if member.evict() else idle + 1

    # -- locks ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def locked(self, place: int) -> Iterator[None]:
        """Hold a byte of the file against other processes; the first one against threads too."""
        guard: Any = self._lock if place == _NUMBERS else contextlib.nullcontext()
        with guard:
            self.lock(place)
            try:
                yield
            finally:
                self.unlock(place)

    def lock(self, place: int, count: int = 1, *, shared: bool = False) -> None:
        """Hold bytes of the file, alone or shared with others that ask so.

        Two threads that hold the same byte have one lock, which the first of them lets go of.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._count(1)
        while True:
            try:
                fcntl.lockf(self._memory.fd, kind, count, place)
                return
            except OSError as error:
                # Threads of two processes that each wait for one of the other look like a
                # deadlock to the system, which does not tell them apart.
                if error.errno != errno.EDEADLK:
                    self._count(-1)
                    raise
            time.sleep(0.001)

    def try_lock(self, place: int) -> bool:
        """Hold a byte alone, if that can be had at once."""
        self._count(1)
        try:
            fcntl.lockf(self._memory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            self._count(-1)
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                return False
            raise
        return True

    def unlock(self, place: int, count: int = 1) -> None:
        """Let go of bytes."""
        fcntl.lockf(self._memory.fd, fcntl.LOCK_UN, count, place)
        self._count(-1)

    def _count(self, more: int) -> None:
        """Count the locks that are held or waited for."""
        with self._counting:
            self._held += more
            if not self._held and self._unused:
                self._close_unused()


_arenas: weakref.WeakSet[Arena] = weakref.WeakSet()


def _after_fork() -> None:
    # The bytes of the file are the parent's alone.
    for arena in list(_arenas):
        arena._nobody()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_default: Arena | None = None
_default_lock = threading.Lock()


def default_arena() -> Arena:
    """The arena of this process, made at its first use.

    Its budget is what `set_cache_size` or the environment variable ``VOXFLOW_CACHE_BYTES`` says;
    else a quarter of the memory that this process may use, and 4 GiB at most.
    """
    global _default
    with _default_lock:
        if _default is None:
            _default = Arena(_default_budget())
        return _default


def set_cache_size(nbytes: int) -> None:
    """Say how much memory decoded chunks of files may take, of all sources together.

    It counts for pipelines that are built from now on, and for their workers.

    Parameters
    ----------
    nbytes
        The budget in bytes; 0: chunks are not kept.

    Raises
    ------
    ValueError
        If it is negative.
    """
    default_arena().budget = _parse_budget(nbytes)


def _parse_budget(nbytes: Any) -> int:
    if int(nbytes) < 0:
        raise ValueError(f"a cache cannot have {nbytes} bytes")
    return int(nbytes)


def _default_budget() -> int:
    given = os.environ.get(_VARIABLE, "")
    if given:
        try:
            return _parse_budget(given)
        except ValueError:
            raise ValueError(f"{_VARIABLE} has to be a number of bytes, got {given!r}") from None
    limit = memory_limit()
    total = int(psutil.virtual_memory().total)
    return min(_MOST, (total if limit is None else min(limit, total)) // _PART_OF_MEMORY)
