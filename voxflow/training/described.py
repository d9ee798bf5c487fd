"""What is to be known of the network of a configuration before it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxflow.models import analyse
from voxflow.torch.modes import evaluating
from voxflow.training.parts.network import make_model

if TYPE_CHECKING:
    from voxflow.training.config import Settings

__all__ = ["describe_model"]


def describe_model(settings: Settings, channels: int = 1, dims: int | None = None) -> str:
    """The parameters of a network, its field of view, its stride, and which sizes it takes.

    Its smallest input goes through it once.

    Parameters
    ----------
    settings
        What `load_config` gave.
    channels
        Of its input; those that ``model.options.in_channels`` says win.
    dims
        How many spatial axes it has. None: as many as ``data.input_shape``.

    Returns
    -------
    str
        Lines.

    Raises
    ------
    ValueError, TypeError
        If the network cannot be built, takes no image of so many axes, or the axes are not known.
    """
    config = settings.config
    shape = config.data.input_shape
    if dims is None and shape is None:
        raise ValueError("how many axes the network has is not known; give --dims")
    dims = len(shape or ()) if dims is None else dims
    channels = config.model.options.get("in_channels", channels)
    model = make_model(config.model, config.seed)
    geometry = analyse(model, channels, dims)
    with torch.no_grad(), evaluating(model):
        output = model(torch.zeros(1, channels, *geometry.smallest_input))
    made = output if isinstance(output, torch.Tensor) else output[0]
    rows = [(name, tuple(p.shape), p.numel()) for name, p in model.named_parameters()]
    width = max((len(name) for name, *_ in rows), default=0)
    lines = [f"{name:<{width}}  {size:>12,}  {shape}" for name, shape, size in rows]
    lines += [
        f"{type(model).__name__}: {sum(size for *_, size in rows):,} parameters",
        str(geometry),
        f"smallest      {_said((channels, *geometry.smallest_input))} in, "
        f"{_said(made.shape[1:])} out (channels first)",
    ]
    if shape is not None:
        fitted, output_shape = geometry.fit(shape)
        lines.append(f"a patch       {_said(fitted)} in, {_said(output_shape)} out")
    return "\n".join(lines)


def _said(shape: object) -> str:
    return "x".join(map(str, shape))  # type: ignore[call-overload]
