"""What tensors are like, in tables: parameters, gradients, activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from voxflow.torch.draws import drawing_from
from voxflow.torch.modes import evaluating

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voxflow.pipeline.data import Batch
    from voxflow.torch.forward import Forward


class Statistics(NamedTuple):
    """What a tensor is like.

    Attributes
    ----------
    shape
        Its shape.
    mean, std, min, max
        Of all its values; the standard deviation is that of the values themselves, not an estimate.
    norm
        The root of the sum of the squares.
    median
        Of the magnitudes.
    """

    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float
    norm: float
    median: float


@torch.no_grad()
def statistics(tensor: torch.Tensor) -> Statistics:
    """What a tensor is like; nan where it has no values.

    Examples
    --------
    >>> statistics(torch.tensor([3.0, -3.0, 0.0, 4.0]))[2:]
    (2.7386..., -3.0, 4.0, 5.8309..., 3.0)
    """
    shape = tuple(tensor.shape)
    if tensor.numel() == 0:
        return Statistics(shape, *[float("nan")] * 6)
    values = tensor.detach().to(torch.float64 if tensor.dtype == torch.float64 else torch.float32)
    found = (
        values.mean(),
        values.std(correction=0),
        values.min(),
        values.max(),
        torch.linalg.vector_norm(values),
        _median(values.abs().reshape(-1)),
    )
    return Statistics(shape, *map(float, found))


def _median(values: torch.Tensor) -> torch.Tensor:
    """The mean of both in the middle, which `torch.median` does not take."""
    count = values.numel()
    return (values.kthvalue((count + 1) // 2)[0] + values.kthvalue(count // 2 + 1)[0]) / 2


def activations(
    forward: Forward, model: torch.nn.Module, loss: Any, batch: Batch, seed: int
) -> dict[str, Statistics]:
    """What comes out of each layer for a batch, in evaluation mode; nothing of the model changes.

    Parameters
    ----------
    forward
        How batches pass.
    model, loss
        What they pass through.
    batch
        The batch.
    seed
        What torch draws from.

    Returns
    -------
    dict[str, Statistics]
        By the names of the modules that have no modules in them, in the order in which they are
        called; ``name#2`` is the second call of one.
    """
    found: dict[str, Statistics] = {}

    def told(name: str, output: Any) -> None:
        for i, tensor in enumerate(_tensors(output)):
            whole = name if i == 0 else f"{name}.{i}"
            calls = sum(1 for n in found if n.partition("#")[0] == whole)
            found[whole if calls == 0 else f"{whole}#{calls + 1}"] = statistics(tensor)

    leaves = {n or "model": m for n, m in model.named_modules() if not any(m.children())}
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: told(name, output))
        for name, module in leaves.items()
    ]
    try:
        with torch.no_grad(), evaluating(model), drawing_from(seed, forward.device):
            forward(model, loss, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _tensors(output: Any) -> Iterable[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        return [output]
    parts = output if isinstance(output, tuple | list) else []
    return [part for part in parts if isinstance(part, torch.Tensor)]


def table(rows: Mapping[str, Statistics]) -> str:
    """A table, a line for each tensor.

    Examples
    --------
    >>> print(table({"weight": statistics(torch.ones(2, 3))}))
    name    shape  mean  std  min  max  norm    median
    weight  2x3    1     0    1    1    2.4495  1
    """
    lines: list[tuple[str, ...]] = [("name", "shape", *Statistics._fields[1:])]
    for name, row in rows.items():
        shape = "x".join(map(str, row.shape)) or "-"
        lines.append((name, shape, *(f"{value:.5g}" for value in row[1:])))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{word:<{w}}" for word, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
