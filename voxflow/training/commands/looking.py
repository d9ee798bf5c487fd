"""Commands that look at a training, and change nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxflow.training.commands.registry import CommandError
from voxflow.training.filters import drawn_filters, find_filters
from voxflow.training.statistics import activations, statistics, table

if TYPE_CHECKING:
    from pathlib import Path

    from voxflow.pipeline.data import Batch
    from voxflow.training.session import Session


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
    try:
        name, weight = find_filters(session.model, layer)
    except ValueError as error:
        raise CommandError(str(error)) from error
    path = _file(session, f"filters-{name}-{session.step}.png")
    try:
        from voxflow.pictures import save_picture

        save_picture(drawn_filters(weight), path)
    except ImportError as error:
        raise CommandError(f"filters cannot be drawn: {error}") from error
    return f"{len(weight)} filters of {name}: {path}"


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
