"""Network, loss and optimizer of a configuration."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch

import voxflow.models
import voxflow.torch
from voxflow.training.parts.named import called, load_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxflow.training.config.schema import LossSection, ModelSection, OptimizerSection

__all__ = ["make_loss", "make_model", "make_optimizer"]


def make_model(section: ModelSection, seed: int) -> torch.nn.Module:
    """The network. Its weights depend on the seed; torch's own random state stays as it is.

    Raises
    ------
    TypeError
        If what is named makes no network.
    """
    own = ":" not in section.name
    kind = getattr(voxflow.models, section.name) if own else load_named(section.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = called("model", kind, **section.options)
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model.name: {section.name} made a {type(model).__name__}, and no network")
    return model


def make_loss(section: LossSection) -> Any:
    """The loss: a module of torch, or a function with its options.

    Options that are lists of numbers, such as weights of classes, become tensors.
    """
    options = {name: _tensor(value) for name, value in section.options.items()}
    if ":" in section.name:
        kind = load_named(section.name)
    else:
        kind = getattr(torch.nn, section.name, None) or getattr(voxflow.torch, section.name)
    return called("loss", kind, **options) if inspect.isclass(kind) else _WithOptions(kind, options)


class _WithOptions(torch.nn.Module):
    """A function, and options whose tensors move to the device with it."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.function = function
        self.options = options
        for name, value in options.items():
            if isinstance(value, torch.Tensor):
                self.register_buffer(name, value, persistent=False)

    def forward(self, *values: Any, **named: Any) -> Any:
        """Call the function."""
        # Those that moved; modules have attributes of their own, such as `type`.
        options = {name: self._buffers.get(name, value) for name, value in self.options.items()}
        return self.function(*values, **options, **named)


def _tensor(value: Any) -> Any:
    numbers = isinstance(value, list) and value and all(isinstance(v, int | float) for v in value)
    return torch.tensor(value, dtype=torch.float32) if numbers else value


def make_optimizer(section: OptimizerSection, model: torch.nn.Module) -> torch.optim.Optimizer:
    """The optimizer of all parameters that are trained. Biases and norms do not decay.

    Raises
    ------
    ValueError
        If it takes no learning rate or no decay, and one is asked for; or nothing is trained.
    """
    if ":" in section.name:
        kind = load_named(section.name)
    else:
        kind = getattr(torch.optim, section.name, None) or getattr(voxflow.torch, section.name)
    takes = inspect.signature(kind).parameters
    options = dict(section.options)
    if "lr" in takes:
        options.setdefault("lr", section.lr)
    parameters: Any = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("no parameter of the network is trained; see model.freeze")
    if section.weight_decay:
        if "weight_decay" not in takes:
            raise ValueError(f"{section.name} takes no weight_decay; leave it out, or take another")
        parameters = list(_groups(parameters, section.weight_decay))
    made = called("optimizer", kind, parameters, **options)
    return made  # type: ignore[no-any-return]


def _groups(parameters: list[Any], decay: float) -> Iterator[dict[str, Any]]:
    # Vectors are biases, and scales and shifts of norms.
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    if matrices:
        yield {"params": matrices, "weight_decay": decay}
    if vectors:
        yield {"params": vectors, "weight_decay": 0.0}
