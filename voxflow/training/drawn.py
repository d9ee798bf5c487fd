"""Pictures that a hook draws now and then, beside the training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from voxflow.pictures import save_picture
from voxflow.training.aside import Aside
from voxflow.training.when import Every

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from voxflow.training.session import Session

__all__ = ["Drawn", "TakesImages"]


class TakesImages(Protocol):
    """Where pictures go beside files, such as a `Recorder`."""

    def log_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Take pictures by name."""


class Drawn(ABC):
    """A hook of a session that draws when it is due, at the end, and when it is asked to.

    Parameters
    ----------
    every
        When: a number of steps, or a trigger.
    folder
        Where the files go; None: the folder `kind` in the run directory.
    images
        Where pictures go besides; their names begin with `kind`.
    """

    kind: str

    def __init__(
        self, every: int | Every, folder: str | Path | None, images: TakesImages | None
    ) -> None:
        self.every = Every(steps=every) if isinstance(every, int) else every
        self.folder = None if folder is None else Path(folder).absolute()
        self.images = images
        self._aside = Aside()

    def end(self, session: Session) -> None:
        """Draw the end, if that is due, and wait until all is written."""
        self._draw_if_due(session, last=True)
        self._aside.close()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return self.every.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from an earlier part of the run."""
        self.every.load_state_dict(state)

    def now(self, session: Session) -> list[Path]:
        """Draw all now, and wait until it is written; between two steps.

        Returns
        -------
        list[Path]
            The files. One that failed is told, and is not among them.
        """
        files = self._draw(session, f"step-{session.step}")
        self._aside.wait()
        return [file for file in files if file.exists()]

    def _draw_if_due(self, session: Session, *, last: bool = False) -> None:
        when = self.every.due(session.moment, last=last)
        if when is not None:
            self._draw(session, when)

    @abstractmethod
    def _draw(self, session: Session, when: str) -> list[Path]:
        """Let the thread draw; the files that there will be."""

    def _file(self, session: Session, name: str) -> Path | None:
        """Where a picture goes; None: nowhere."""
        if self.folder is not None:
            return self.folder / name
        return None if session.run_dir is None else session.run_dir / self.kind / name

    def _hand_out(self, step: int, name: str, pixels: NDArray[np.uint8], file: Path | None) -> None:
        """Give a picture to all that take it."""
        if self.images is not None:
            self.images.log_images(step, {f"{self.kind}.{name}": pixels})
        if file is not None:
            save_picture(pixels, file)
