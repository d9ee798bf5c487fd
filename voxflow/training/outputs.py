"""A batch of the training, with what the network makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxflow.pipeline.data import Array, ArraySpec, Batch
from voxflow.pipeline.geometry import Coordinate, Roi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxflow.training.session import Session


def with_outputs(session: Session, batch: Batch) -> Batch:
    """Arrays and graphs of a batch, and the outputs of the network as it is now.

    The caller sees to the mode of the network, and to what it draws.

    Parameters
    ----------
    session
        Whose network it is.
    batch
        Of its pipeline.

    Returns
    -------
    Batch
        The same arrays, not copied. Outputs lie where an array of the loss of their size does, or
        in the middle of the input.
    """
    seen = Batch()
    with torch.no_grad():
        # Without the loss, which may count how often it is called.
        passed = session._forward(session.model, lambda *_, **__: torch.zeros(()), batch)
    for key, item in batch.items():
        seen[key] = item
    for name, key in session._forward.outputs.items():
        tensor = passed.outputs[name].detach().cpu()
        data = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        seen[key] = Array(data, _place_of(data.shape, session, batch))
    return seen


def _place_of(shape: Sequence[int], session: Session, batch: Batch) -> ArraySpec:
    """Where an output lies: where an array of the loss of the same size does, or in the middle."""
    forward = session._forward
    placed = [
        batch[key]
        for key in [*forward.loss_inputs.values(), *forward.inputs.values()]
        if key in batch and batch[key].spec.roi is not None
    ]
    for array in placed:
        region = array.spec.region
        if tuple(array.shape[-region.dims :]) == tuple(shape[-region.dims :]):
            return ArraySpec(region, array.spec.voxel_size, interpolatable=False)
    if not placed:
        return ArraySpec()
    outer, size = placed[-1].spec.region, placed[-1].spec.voxel_size
    size = Coordinate((1,) * outer.dims) if size is None else size
    inner = Coordinate(shape[-outer.dims :]) * size
    return ArraySpec(Roi(outer.offset + (outer.shape - inner) / size // 2 * size, inner), size)
