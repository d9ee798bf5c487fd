"""Commands that look at a training, and change nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from voxflow.training.commands.registry import CommandError
from voxflow.training.statistics import activations, statistics, table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from voxflow.pipeline.data import Batch
    from voxflow.training.session import Session

_WIDTH = 1024  # pixels, about, that a picture of filters has


def validate(session: Session) -> str:
    """Make a validation now. Stop rules do not see it."""
    found = session.validate()
    return "\n".join(f"{name}  {value:.6g}" for name, value in found.items())


def preview(session: Session) -> str:
    """Make the previews now that hooks of the training make."""
    able = [hook for hook in session.hooks if callable(getattr(hook, "now", None))]
    if not able:
        raise CommandError("this training has no hook that makes previews")
    made = [path for hook in able for path in hook.now(session) or ()]
    return "\n".join(f"drawn: {path}" for path in made) or "no preview was drawn"


def debugbatch(session: Session) -> str:
    """Draw the last batch: arrays side by side, as a picture."""
    batch, path = _batch(session), _file(session, f"batch-{session.step}.png")
    try:
        from voxflow.pictures import batch_picture

        batch_picture(batch, path)
    except ImportError as error:
        raise CommandError(f"the batch cannot be drawn: {error}") from error
    return f"drawn: {path}"


def paramstats(session: Session) -> str:
    """A table of all parameters: mean, deviation, least, greatest, norm, median magnitude."""
    return table({n: statistics(p) for n, p in session.model.named_parameters()})


def gradstats(session: Session) -> str:
    """A table of the gradients of the last step."""
    grads = {n: p.grad for n, p in session.model.named_parameters() if p.grad is not None}
    if not grads:
        raise CommandError("there are no gradients yet: no step was made")
    return table({name: statistics(grad) for name, grad in grads.items()})


def actstats(session: Session) -> str:
    """A table of what comes out of each layer for the last batch, in evaluation mode."""
    batch = _batch(session)
    found = activations(session._forward, session.model, session.loss, batch, session.step)
    return table(found)


def filters(session: Session, layer: str = "") -> str:
    """Draw the filters of a layer as a picture: of the first convolution, or of the one named.

    Rows are outputs, columns inputs; sections of a volume are side by side. Grey is 0.
    """
    name, weight = _convolution(session.model, layer)
    path = _file(session, f"filters-{name}-{session.step}.png")
    try:
        from voxflow.pictures import save_picture

        save_picture(drawn_filters(weight.detach().float().cpu().numpy()), path)
    except ImportError as error:
        raise CommandError(f"filters cannot be drawn: {error}") from error
    return f"{len(weight)} filters of {name}: {path}"


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
        input, as many columns as rows. Sections along z are side by side.
    """
    outputs, inputs, *sizes = weight.shape
    if len(sizes) == 1:
        sizes = [1, *sizes]
    tiles = weight.reshape(outputs, inputs, -1, *sizes[-2:])
    # Sections side by side: (outputs, inputs, y, sections, x).
    flat = tiles.transpose(0, 1, 3, 2, 4).reshape(outputs, inputs, sizes[-2], -1)
    columns = int(np.ceil(np.sqrt(outputs))) if inputs == 1 else inputs
    every = flat.reshape(-1, *flat.shape[2:])
    rows = -(-len(every) // columns)
    height, width = every.shape[1:]
    scale = max(1, _WIDTH // max(columns * width, rows * height))
    limit = float(np.abs(every).max()) or 1.0
    grey = np.clip(np.round(every / limit * 127 + 128), 0, 255).astype(np.uint8)
    grey = grey.repeat(scale, axis=1).repeat(scale, axis=2)
    step_y, step_x = grey.shape[1] + 1, grey.shape[2] + 1
    page = np.full((rows * step_y + 1, columns * step_x + 1), 255, np.uint8)
    for i, tile in enumerate(grey):
        y, x = i // columns * step_y + 1, i % columns * step_x + 1
        page[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return page


def _convolution(model: torch.nn.Module, layer: str) -> tuple[str, torch.Tensor]:
    there = {
        name or "model": weight
        for name, module in model.named_modules()
        if isinstance(weight := getattr(module, "weight", None), torch.Tensor) and weight.ndim > 2
    }
    if not there:
        raise CommandError("the model has no convolution")
    if layer and layer not in there:
        raise CommandError(f"there is no convolution {layer!r}; there are {', '.join(there)}")
    name = layer or next(iter(there))
    return name, there[name]


def _batch(session: Session) -> Batch:
    if session.batch is None:
        raise CommandError("there is no batch yet: no step was made")
    return session.batch


def _file(session: Session, name: str) -> Path:
    if session.run_dir is None:
        raise CommandError("this training has no run_dir=, where pictures would go")
    path = session.run_dir / "pictures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
