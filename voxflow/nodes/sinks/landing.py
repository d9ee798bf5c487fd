"""What writers have begun to write, while somebody else waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voxflow.nodes.sinks.target import Piece

__all__ = ["Landing"]


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
        left = []
        for piece in map(_kept, pieces) if self._keeps else pieces:
            wait = piece.target.begin(piece.data, piece.region)
            if wait is None:
                left.append(piece)
            else:
                self._add(wait, note)
        if left:
            self._add(self._thread.submit(write, left).result, note)

    def _add(self, wait: Callable[[], Any], note: Callable[[Exception], None]) -> None:
        write = _Write(wait, note, self._flying)
        self._flying.append(write)
        self._begun.append(write)

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


def _kept(piece: Piece) -> Piece:
    return replace(piece, data=piece.data.copy()) if piece.shared else piece


class _Write:
    """Waits for what was begun, once; an error is told each time."""

    def __init__(
        self, wait: Callable[[], Any], note: Callable[[Exception], None], flying: list[_Write]
    ) -> None:
        self._wait: Callable[[], Any] | None = wait
        self._note = note
        self._flying = flying
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
        if self._error is not None:
            raise self._error
