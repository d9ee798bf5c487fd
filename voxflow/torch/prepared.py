"""What is called in the place of a model that is trained: compiled, wrapped, at less precision."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from voxflow.torch.step_options import DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from voxflow.torch.calls import Name
    from voxflow.torch.ranks import Ranks
    from voxflow.torch.step_options import StepOptions


def prepared(
    model: torch.nn.Module, options: StepOptions, ranks: Ranks, outputs: Iterable[Name]
) -> Any:
    """What is called in the model's place; None: the model itself.

    Raises
    ------
    ValueError
        If outputs of submodules are asked of a compiled model.
    """
    run: Any = ranks.wrapped(model)
    if options.compile:
        names = [name for name in outputs if not str(name).isdecimal()]
        if names:
            raise ValueError(
                f"outputs of submodules, {names}, cannot be had of a compiled model; leave "
                "compile= out, or let the model return them"
            )
        how = options.compile if isinstance(options.compile, dict) else {}
        run = torch.compile(run, **how)
    return None if run is model else run


def casting(device: torch.device, precision: str | None) -> AbstractContextManager[Any]:
    """A block in which is computed with a precision; None: as it is."""
    if precision is None:
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


@cache
def needs_closure(step: Callable[..., Any]) -> bool:
    """Whether an optimizer with this method evaluates the loss by itself."""
    closure = inspect.signature(step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
