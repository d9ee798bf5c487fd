"""Memory that this process shares with the workers that it sends it to."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from .slots import anonymous_memory

__all__ = ["SharedMemory", "is_shipping", "receiving", "shipping"]


class _Here(threading.local):
    """Descriptors that travel beside what this thread is pickling, or has received with it."""

    sent: list[int] | None = None
    received: Sequence[int] = ()


_here = _Here()


class SharedMemory:
    """Memory without a name, which lies in one place for this process and all of its workers.

    It is sent to workers by its descriptor, as a part of the work that a pool is given. As it has
    no name, nothing can be left behind. Each process maps what it needs of it.

    Parameters
    ----------
    nbytes
        The size. Memory that nobody has written to is not used up.

    Attributes
    ----------
    fd
        The descriptor. It belongs to this object.

    Raises
    ------
    OSError
        If the system does not give so much.

    Examples
    --------
    >>> import mmap
    >>> memory = SharedMemory(4096)
    >>> view = mmap.mmap(memory.fd, 4096)
    >>> view[:5] = b"hello"
    """

    def __init__(self, nbytes: int) -> None:
        self.fd = anonymous_memory(nbytes, "voxflow-shared")

    @classmethod
    def _of(cls, fd: int) -> SharedMemory:
        memory = object.__new__(cls)
        memory.fd = fd
        return memory

    @property
    def nbytes(self) -> int:
        """The present size."""
        return os.fstat(self.fd).st_size

    def grow(self, nbytes: int) -> None:
        """Make it at least so large, for all processes."""
        if self.nbytes < nbytes:
            os.ftruncate(self.fd, nbytes)

    def __reduce__(self) -> tuple[Any, ...]:
        if _here.sent is None:
            _refuse()
        if self.fd not in _here.sent:
            _here.sent.append(self.fd)
        return _arrived, (_here.sent.index(self.fd),)

    def __del__(self, close: Any = os.close) -> None:
        # No global name is used here: this may be called after the modules have died.
        fd = self.__dict__.pop("fd", None)
        if fd is not None:
            close(fd)


def _refuse() -> NoReturn:
    raise TypeError(
        "shared memory only travels to workers, as a part of the work that they are given when "
        "they start; send the data of it instead"
    )


def _arrived(place: int) -> SharedMemory:
    return SharedMemory._of(os.dup(_here.received[place]))


def is_shipping() -> bool:
    """Whether what this thread pickles right now goes to workers of this process."""
    return _here.sent is not None


@contextlib.contextmanager
def shipping() -> Iterator[list[int]]:
    """Let shared memory be pickled; gives the descriptors that have to travel along, in order."""
    before, _here.sent = _here.sent, []
    try:
        yield _here.sent
    finally:
        _here.sent = before


@contextlib.contextmanager
def receiving(fds: Sequence[int]) -> Iterator[None]:
    """Let shared memory be unpickled that came with these descriptors; closes them at the end."""
    before, _here.received = _here.received, fds
    try:
        yield
    finally:
        _here.received = before
        for fd in fds:
            os.close(fd)
