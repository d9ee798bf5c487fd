"""The filters of a convolution as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxflow.training.drawn import Drawn

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voxflow.training.drawn import TakesImages
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session
    from voxflow.training.when import Every

__all__ = ["Filters", "drawn_filters", "find_filters"]

_WIDTH = 1024  # pixels, about, that a picture has
_GAP, _LINE = 6, 1  # between filters, and between sections


class Filters(Drawn):
    """Draws the filters of a convolution now and then: a hook of a session.

    Pictures are ``<layer>-<when>.png``, such as ``filters/0-step-2000.png``: rows are outputs,
    columns inputs; sections of a volume are side by side; grey is 0, and black and white are the
    largest magnitude. A thread draws and writes them beside the training, of which nothing changes.

    Parameters
    ----------
    every
        When: a number of steps, or a trigger.
    layer
        The name of the convolution in the model; "": the first one.
    folder
        Where the files go; None: ``filters`` in the run directory.
    images
        Where pictures go besides, such as a `Recorder`.

    Raises
    ------
    ValueError
        When the training begins: if there is no such convolution.

    Examples
    --------
    >>> filters = Filters(every=1000)
    """

    kind = "filters"

    def __init__(
        self,
        every: int | Every = 1000,
        *,
        layer: str = "",
        folder: str | Path | None = None,
        images: TakesImages | None = None,
    ) -> None:
        super().__init__(every, folder, images)
        self.layer = layer

    def check(self, session: Session) -> None:
        """Say which convolution there is not."""
        find_filters(session.model, self.layer)

    def after_step(self, session: Session, step: StepResult) -> None:
        """Draw what is due."""
        self._draw_if_due(session)

    def _draw(self, session: Session, when: str) -> list[Path]:
        name, weight = find_filters(session.model, self.layer)
        file = self._file(session, f"{name}-{when}.png")
        job = (session.step, name, weight, file)
        self._aside.do(session.hooks.guarded, self, f"draw {name}", self._save, *job)
        return [] if file is None else [file]

    def _save(self, step: int, name: str, weight: NDArray[np.float32], file: Path | None) -> None:
        grey = drawn_filters(weight)
        self._hand_out(step, name, np.stack([grey] * 3, axis=-1), file)


def find_filters(model: torch.nn.Module, layer: str = "") -> tuple[str, NDArray[np.float32]]:
    """The name of a convolution, and a copy of its weights.

    Parameters
    ----------
    model
        The model.
    layer
        Which one; "": the first.

    Raises
    ------
    ValueError
        If there is none.
    """
    there = {
        name or "model": weight
        for name, module in model.named_modules()
        if isinstance(weight := getattr(module, "weight", None), torch.Tensor) and weight.ndim > 2
    }
    if not there:
        raise ValueError("the model has no convolution")
    if layer and layer not in there:
        raise ValueError(f"there is no convolution {layer!r}; there are {', '.join(there)}")
    name = layer or next(iter(there))
    return name, there[name].detach().float().cpu().numpy().copy()


def drawn_filters(weight: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """A picture of filters.

    Parameters
    ----------
    weight
        Shape (outputs, inputs, [z,] y, x), or (outputs, inputs, x).

    Returns
    -------
    NDArray[np.uint8]
        Shape (height, width): a row for each output, a column for each input; where there is one
        input, as many columns as rows. White is between filters, and a thin line of it between
        their sections along z, which are side by side.
    """
    outputs, inputs, *sizes = weight.shape
    if len(sizes) == 1:
        sizes = [1, *sizes]
    # (filters, sections, y, x)
    every = weight.reshape(outputs * inputs, -1, *sizes[-2:])
    columns = int(np.ceil(np.sqrt(outputs))) if inputs == 1 else inputs
    rows = -(-len(every) // columns)
    _, depth, height, width = every.shape
    scale = max(1, _WIDTH // max(columns * depth * width, rows * height))
    limit = float(np.abs(every).max()) or 1.0
    grey = np.clip(np.round(every / limit * 127 + 128), 0, 255).astype(np.uint8)
    grey = grey.repeat(scale, axis=2).repeat(scale, axis=3)
    # Each section ends with a line, the last one in the white around the filter.
    lined = np.pad(grey, ((0, 0), (0, 0), (0, 0), (0, _LINE)), constant_values=255)
    tiles = lined.transpose(0, 2, 1, 3).reshape(len(every), height * scale, -1)[..., :-_LINE]
    step_y, step_x = tiles.shape[1] + _GAP, tiles.shape[2] + _GAP
    page = np.full((rows * step_y + _GAP, columns * step_x + _GAP), 255, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // columns * step_y + _GAP, i % columns * step_x + _GAP
        page[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return page
