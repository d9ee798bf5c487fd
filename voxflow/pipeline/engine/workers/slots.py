"""Slots: anonymous shared memory through which results reach the parent without a copy.

A slot is memory without a name (``memfd_create``, else a file unlinked at once), made by a
worker and mapped by both sides. No name means that nothing can be left behind, whoever dies
and however. The worker writes a result's buffers into a free slot; the parent's arrays are
views of it. When the last of them dies the slot goes back to its worker.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .limits import free_memory
from .packing import SMALL, Packed

ALIGN = 64  # a cache line, and what vector instructions like best
_GRAIN = 1 << 20  # slots are whole MiB; memory that is never touched costs nothing
_TRIM_EVERY = 256  # results

Part = tuple[int, int]
"""Offset and size in bytes of one buffer in its memory."""


class Placed(NamedTuple):
    """A result in its slot, as the worker tells the parent of it."""

    stream: bytes | None  # None: the pickle stream is the last part
    parts: tuple[Part, ...] = ()
    slot: int | None = None
    capacity: int = 0  # of a slot that is new to the parent, else 0
    dropped: tuple[int, ...] = ()  # slots that the worker gave up
    inline: bytearray | None = None  # all parts, where there was no memory to share


def anonymous_memory(nbytes: int, label: str = "voxflow-slot") -> int:
    """Return a descriptor of new shared memory of ``nbytes`` bytes that has no name.

    The label is what ``/proc/PID/maps`` shows, where the system can do that.

    Examples
    --------
    >>> import os
    >>> fd = anonymous_memory(4096)
    >>> os.fstat(fd).st_size
    4096
    >>> os.close(fd)
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create(label, os.MFD_CLOEXEC)
        os.ftruncate(fd, nbytes)
        return fd
    with tempfile.TemporaryFile() as file:
        fd = os.dup(file.fileno())
    # A sparse file on a full disk would be a bus error at the first write: reserve it now.
    if nbytes and hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, nbytes)
    else:
        os.ftruncate(fd, nbytes)
    return fd


def check_memory(nbytes: int) -> None:
    """Refuse to take more memory than there is, which would end this process without a word.

    Raises
    ------
    MemoryError
        If there is less.
    """
    free = free_memory()
    if nbytes > free:
        raise MemoryError(
            f"a result takes {nbytes / 1e6:.0f} MB of memory that is shared with the parent, and "
            f"only {free / 1e6:.0f} MB are free: let fewer results be made ahead (cache_size), use "
            "fewer workers, or ask for smaller batches"
        )


def arrange(sizes: Sequence[int]) -> tuple[tuple[Part, ...], int]:
    """Return aligned places for buffers of these sizes, and the memory they need in bytes.

    Examples
    --------
    >>> arrange([10, 100])
    (((0, 10), (64, 100)), 192)
    """
    parts, end = [], 0
    for size in sizes:
        parts.append((end, size))
        end += -(-size // ALIGN) * ALIGN
    return tuple(parts), end


def place_packed(packed: Packed, memory: Callable[[int], memoryview]) -> tuple[bytes | None, Any]:
    """Write what ``packed`` holds out of its stream into ``memory(nbytes)``.

    Returns the stream (None if it was so long that it is the last part) and the parts.
    """
    sizes = packed.sizes
    long_stream = len(packed.stream) >= SMALL
    parts, total = arrange([*sizes, len(packed.stream)] if long_stream else sizes)
    if not parts:
        return packed.stream, ()
    view = memory(total)
    for (start, size), write in zip(parts, packed.writers, strict=False):
        write(view[start : start + size])
    if long_stream:
        start, size = parts[-1]
        view[start : start + size] = packed.stream
    return (None if long_stream else packed.stream), parts


def load_placed(
    stream: bytes | None,
    parts: Sequence[Part],
    exporter: Any,
    loads: Callable[..., Any] = pickle.loads,
) -> Any:
    """Rebuild an object whose buffers are views of ``exporter``."""
    # A memoryview keeps its exporter alive, and so does every array over the memoryview.
    views = [memoryview(exporter)[start : start + size] for start, size in parts]
    if stream is None:
        return loads(bytes(views.pop()), buffers=views)
    return loads(stream, buffers=views)


class _Taken:
    """What a result has been given to be written to."""

    def __init__(self) -> None:
        self.slot: int | None = None
        self.capacity = 0  # of a new slot
        self.inline: bytearray | None = None
        self.fds: list[int] = []


class SlotWriter:
    """The worker's side: its slots, of which some are free."""

    def __init__(self) -> None:
        self._slots: dict[int, mmap.mmap] = {}
        self._free: dict[int, None] = {}  # in the order in which they became so
        self._next = 0
        self._dropped: list[int] = []  # of which the parent does not know yet
        self._spare = self._results = 0

    def free(self, slot: int) -> None:
        """Take a slot back from the parent."""
        self._free[slot] = None

    def drop(self, slot: int) -> None:
        """Give up a slot that the parent has let go of."""
        self._free.pop(slot, None)
        del self._slots[slot]

    def place(self, packed: Packed) -> tuple[Placed, list[int]]:
        """Write a result into a slot; return where it is, and the descriptor of a new slot."""
        taken = _Taken()
        try:
            stream, parts = place_packed(packed, partial(self._take, taken))
        except BaseException:
            self._give_back(taken)
            raise
        self._trim()
        dropped, self._dropped = tuple(self._dropped), []
        where = taken.slot, taken.capacity, dropped, taken.inline
        return Placed(stream, parts, *where), taken.fds

    def _take(self, taken: _Taken, nbytes: int) -> memoryview:
        """Memory of a slot, or of the message where there is none to share."""
        fitting = [s for s in self._free if len(self._slots[s]) >= nbytes]
        if fitting:
            taken.slot = min(fitting, key=lambda s: len(self._slots[s]))
            del self._free[taken.slot]
            return memoryview(self._slots[taken.slot])
        wanted = -(-nbytes // _GRAIN) * _GRAIN
        check_memory(wanted)
        if self._free:  # grow: the largest that is too small makes room
            self._give_up(max(self._free, key=lambda s: len(self._slots[s])))
        try:
            taken.fds.append(anonymous_memory(wanted))
            self._slots[self._next] = mmap.mmap(taken.fds[0], wanted)
        except OSError:  # too many files, or a full disk where memory has no name
            for fd in taken.fds:  # the file is there, but cannot be mapped
                os.close(fd)
            taken.fds.clear()
            taken.inline = bytearray(nbytes)
            return memoryview(taken.inline)
        taken.slot, taken.capacity = self._next, wanted
        self._next += 1
        return memoryview(self._slots[taken.slot])

    def _give_back(self, taken: _Taken) -> None:
        """Undo what was taken for a result that could not be written."""
        for fd in taken.fds:
            os.close(fd)
        if taken.slot is not None and taken.capacity:
            del self._slots[taken.slot]  # the parent never hears of a new slot
        elif taken.slot is not None:
            self.free(taken.slot)

    def _trim(self) -> None:
        """Give up what was free all the time: a consumer kept many results once, or large ones."""
        self._spare = min(self._spare, len(self._free))
        self._results += 1
        if self._results == _TRIM_EVERY:
            for slot in list(self._free)[: self._spare]:
                self._give_up(slot)
            self._spare, self._results = len(self._free), 0

    def _give_up(self, slot: int) -> None:
        self.drop(slot)
        self._dropped.append(slot)


class SlotMemory(mmap.mmap):
    """A slot, mapped by the parent: ``SlotMemory(fd, nbytes)``."""

    _callbacks: tuple[Callable[[], object], ...] = ()

    @property
    def address(self) -> int:
        """Where it begins in this process."""
        return int(np.frombuffer(self, np.uint8).ctypes.data)

    def before_unmapping(self, callback: Callable[[], object]) -> None:
        """Have something called when no array is left, while the memory is still there.

        It is called in any thread, and must not refer to this object.
        """
        self._callbacks = (*self._callbacks, callback)

    def __del__(self) -> None:
        # Weak references to an mmap die only after its memory.
        for callback in self._callbacks:
            with contextlib.suppress(Exception):
                callback()


def slot_of(array: np.ndarray[Any, Any]) -> SlotMemory | None:
    """The slot that an array lies in, or None.

    Examples
    --------
    >>> slot_of(np.zeros(3)) is None
    True
    """
    holder: Any = array
    while holder is not None and not isinstance(holder, SlotMemory):
        if isinstance(holder, np.ndarray):
            holder = holder.base
        else:
            holder = holder.obj if isinstance(holder, memoryview) else None
    return holder


@dataclass(eq=False)
class _Slot:
    memory: SlotMemory
    lease: Any = None  # weak reference to the exporter that is out


class SlotReader:
    """The parent's side: one worker's slots, mapped once each.

    Parameters
    ----------
    on_free : callable
        ``on_free(reader, slot)``, called when the last array over a slot has died: in any
        thread, at any moment (also within the garbage collector), so it must take no lock.
    """

    def __init__(self, on_free: Callable[[SlotReader, int], None]) -> None:
        self._on_free = on_free
        self._slots: dict[int, _Slot] = {}
        self.idle = 0  # slots that the worker may write to

    def learn(self, placed: Placed, fds: Sequence[int]) -> None:
        """Note what a message says about slots; takes over the descriptors."""
        for slot in placed.dropped:
            del self._slots[slot]
            self.idle -= 1
        if placed.slot is None:
            return
        if placed.capacity:
            memory = SlotMemory(fds[0], placed.capacity)
            os.close(fds[0])
            self._slots[placed.slot] = _Slot(memory)
        else:
            self.idle -= 1

    def drop(self, slot: int) -> None:
        """Forget a slot that no array refers to."""
        del self._slots[slot]

    @property
    def leased(self) -> int:
        """Slots whose arrays the consumer holds."""
        return sum(slot.lease is not None for slot in list(self._slots.values()))

    def open(self, placed: Placed, *, copy: bool = False) -> Any:
        """Rebuild a result; with ``copy`` in private memory, so that the slot is free at once."""
        if placed.slot is None:
            return load_placed(placed.stream, placed.parts, placed.inline or b"")
        slot = self._slots[placed.slot]
        shared = np.frombuffer(slot.memory, np.uint8)
        if copy:
            last = placed.parts[-1]
            exporter = aligned_empty(last[0] + last[1])
            exporter[:] = shared[: exporter.size]
            self._on_free(self, placed.slot)
            return load_placed(placed.stream, placed.parts, exporter)
        self._lease(placed.slot, shared)
        return load_placed(placed.stream, placed.parts, shared)

    def _lease(self, number: int, exporter: np.ndarray[Any, Any]) -> None:
        slot, on_free, reader = self._slots[number], self._on_free, self

        def release(_: object) -> None:
            slot.lease = None
            on_free(reader, number)

        slot.lease = weakref.ref(exporter, release)


def aligned_empty(nbytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return uninitialised bytes that begin at a multiple of `ALIGN`.

    Examples
    --------
    >>> aligned_empty(5).ctypes.data % 64
    0
    """
    raw = np.empty(nbytes + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + nbytes]
