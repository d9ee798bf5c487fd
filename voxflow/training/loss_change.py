"""How much a step changes the loss of its own batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from voxflow.pipeline.data.seeds import derive_seed
from voxflow.torch.buffers import KeptBuffers
from voxflow.torch.draws import drawing_from
from voxflow.torch.prepared import casting

if TYPE_CHECKING:
    from voxflow.training.result import StepResult
    from voxflow.training.session import Session


def loss_change(session: Session, step: StepResult) -> float | None:
    """The loss after a step minus that before it, of the same batch and the same draws of torch.

    The model and its running means stay as they are. (A recurrent model takes its second pass from
    the state after the first.)

    Parameters
    ----------
    session
        The training.
    step
        Its last step.

    Returns
    -------
    float | None
        None: not known, as the step was left out, or its loss is a mean over several batches.
    """
    several = session._step.options.accumulate > 1 or session.ranks.count > 1
    batch = step.batch
    if several or batch is None or batch.token is None or not math.isfinite(step.loss):
        return None
    whole = [session.model, session.loss]
    kept = [KeptBuffers(part) for part in whole if isinstance(part, torch.nn.Module)]
    seed = derive_seed(batch.token.request().seed, "torch")
    precision, device = session._step.options.precision, session.device
    try:
        with torch.no_grad(), drawing_from(seed, device), casting(device, precision):
            passed = session._forward(session.model, session.loss, batch)
    finally:
        for one in kept:
            one.put_back()
    return float(passed.loss) - step.loss
