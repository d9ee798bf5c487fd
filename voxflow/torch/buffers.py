"""What a model keeps beside its parameters, such as running means: kept, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def copied_buffers(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copies of the buffers, by name."""
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


def put_back(model: torch.nn.Module, buffers: dict[str, torch.Tensor]) -> None:
    """Let a model have the buffers that were copied."""
    for name, buffer in model.named_buffers():
        buffer.copy_(buffers[name])
