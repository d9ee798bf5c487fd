"""What writers have begun to write, while somebody else waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from voxflow.pipeline.data.copying import copy_voxels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from voxflow.nodes.sinks.target import Piece

__all__ = ["Landing"]

_SPARE = 4
"""So many copies are kept for the next block, though none of them has its size."""


class Landing:
    """What is being written: by whoever reads and writes a format beside us, else by a thread.

    A context; at its end all is written.

    Parameters
    ----------
    keeps
        Whether what is written is copied, as who made it may write to it again before it is.
    """

    def __init__(self, keeps: bool = False) -> None:
        self._keeps = keeps
        self._thread = ThreadPoolExecutor(1, "voxflow-scan")
        self._begun: list[Callable[[], None]] = []
        self._flying: list[_Write] = []
        # Copies that are written: memory that is new for each block would take longer to fill.
        self._spare: list[NDArray[Any]] = []

    def begin(
        self,
        pieces: Sequence[Piece],
        write: Callable[[Sequence[Piece]], None],
        note: Callable[[Exception], None],
    ) -> None:
        """Begin to write.

        Parameters
        ----------
        pieces
            What is to be written. Voxels that are not kept must not change until it is.
        write
            Writes what nobody writes beside us.
        note
            Told of an error, to add to it who wrote.
        """
        left, copied = [], []
        for given in pieces:
            piece = self._kept(given) if self._keeps and given.shared else given
            copies = [] if piece is given else [piece.data]
            wait = piece.target.begin(piece.data, piece.region)
            if wait is None:
                left.append(piece)
                copied += copies
            else:
                self._add(wait, note, copies)
        if left:
            self._add(self._thread.submit(write, left).result, note, copied)

    def _add(
        self,
        wait: Callable[[], Any],
        note: Callable[[Exception], None],
        copies: Sequence[NDArray[Any]],
    ) -> None:
        write = _Write(wait, note, self._flying, partial(self._spare.extend, copies))
        self._flying.append(write)
        self._begun.append(write)

    def _kept(self, piece: Piece) -> Piece:
        """The same with voxels that nobody else has."""
        data, spare = piece.data, self._spare
        alike = (n for n, c in enumerate(spare) if (c.shape, c.dtype) == (data.shape, data.dtype))
        found = next(alike, None)
        if found is None and len(spare) > _SPARE:
            spare.clear()  # of other sizes, which are not needed again soon
        copy = np.empty_like(data, order="C") if found is None else spare.pop(found)
        copy_voxels(copy, data)
        return replace(piece, data=copy, shared=False)

    def take(self) -> list[Callable[[], None]]:
        """Give what waits for what was begun since this was asked last."""
        begun, self._begun = self._begun, []
        return begun

    def settle(self) -> None:
        """Wait until nothing is being written; what went wrong is told to who took it."""
        while self._flying:
            with suppress(Exception):
                self._flying[0]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.settle()
        self._thread.shutdown()


class _Write:
    """Waits for what was begun, once; an error is told each time."""

    def __init__(
        self,
        wait: Callable[[], Any],
        note: Callable[[Exception], None],
        flying: list[_Write],
        done: Callable[[], None],
    ) -> None:
        self._wait: Callable[[], Any] | None = wait
        self._note = note
        self._flying = flying
        self._done = done
        self._error: Exception | None = None

    def __call__(self) -> None:
        wait, self._wait = self._wait, None  # which holds the voxels
        if wait is not None:
            self._flying.remove(self)
            try:
                wait()
            except Exception as error:
                self._note(error)
                self._error = error
            else:
                self._done()
            del self._done  # which holds them, too
        if self._error is not None:
            raise self._error
