"""What a session is given, in the forms that it is used in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from voxflow.pipeline.data import ArrayKey
from voxflow.torch.calls import Name
from voxflow.training.stopping import MaxSteps, StopRule

if TYPE_CHECKING:
    from voxflow.pipeline.data import BatchRequest
    from voxflow.torch.forward import Forward, Passed

Names = ArrayKey | Sequence[ArrayKey] | Mapping[Name, ArrayKey]
"""One key, the keys of the positions 0, 1, ..., or keys by position or name."""


def by_position(names: Names) -> Mapping[Name, ArrayKey]:
    """Keys by position or name.

    Examples
    --------
    >>> by_position([ArrayKey("RAW"), ArrayKey("MASK")])
    {0: RAW, 1: MASK}
    """
    if isinstance(names, ArrayKey):
        return {0: names}
    return names if isinstance(names, Mapping) else dict(enumerate(names))


def stop_rules(stop_after: int | StopRule | Sequence[StopRule] | None) -> list[StopRule]:
    """The rules that end a training; a number is one of steps."""
    if isinstance(stop_after, int):
        return [MaxSteps(stop_after)]
    if stop_after is None:
        return []
    rules: Any = [stop_after] if hasattr(stop_after, "reason") else stop_after
    return list(rules)


def needed_request(forward: Forward, request: BatchRequest) -> BatchRequest:
    """What upstream is asked for: all but what the model makes.

    Raises
    ------
    KeyError
        If something is not asked for that model or loss need.
    """
    asked = request.clone()
    for key in forward.needed():
        if key not in asked:
            raise KeyError(
                f"the session needs {key}, which is not in the request; ask for it with the region "
                "that the model or the loss is to see"
            )
    for key in forward.outputs.values():
        if key in asked:
            del asked[key]
    return asked


def dims_of(request: BatchRequest) -> int:
    """How many spatial axes there are."""
    roi = request.get_total_roi()
    return 0 if roi is None else roi.dims


def voxels_of(forward: Forward, passed: Passed | None, dims: int) -> int:
    """How many voxels the first output has, channels not counted."""
    if passed is None:
        return 0
    shape = passed.outputs[next(iter(forward.outputs))].shape
    # Samples lead; channels follow.
    samples = shape[0] if len(shape) > dims + 1 else 1
    return int(samples * torch.Size(shape[len(shape) - dims :]).numel())
