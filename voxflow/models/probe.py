"""Run a network for the shape of its output only."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import nn

from voxflow.pipeline.geometry.coordinate import Coordinate

__all__ = ["ShapeProbe"]


class ShapeProbe:
    """A network as a function from input size to output size, or None where it refuses.

    Parameters
    ----------
    model
        Is copied; on the meta device without its values.
    in_channels
        Channels of the input; None if it has no channel axis.
    dims
        Number of spatial axes, the last ones.
    output
        Position or key of the output looked at.
    device
        "meta", or a real one.

    Attributes
    ----------
    refusal
        The last error of the network.

    Examples
    --------
    >>> with ShapeProbe(nn.Conv2d(3, 8, 5), in_channels=3, dims=2) as probe:
    ...     print(probe((10, 4)), probe((10, 5)))
    None (6, 1)
    """

    def __init__(
        self,
        model: nn.Module,
        in_channels: int | None = 1,
        dims: int = 3,
        output: int | str = 0,
        device: str = "meta",
    ) -> None:
        self.dims = dims
        self.refusal: Exception | None = None
        self._lead = (1,) if in_channels is None else (1, in_channels)
        self._output = output
        self._device = device
        self._model = _copy_to(model, device).eval()
        self._known: dict[tuple[int, ...], Coordinate | None] = {}
        self._no_grad = torch.no_grad()

    def __enter__(self) -> ShapeProbe:
        self._no_grad.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._no_grad.__exit__(kind, error, traceback)

    def __call__(self, shape: Sequence[int]) -> Coordinate | None:
        """Output size for an input size; None if the network raises or gives no voxel."""
        key = tuple(shape)
        if key not in self._known:
            self._known[key] = self._run(key)
        return self._known[key]

    def _run(self, shape: tuple[int, ...]) -> Coordinate | None:
        tensor = torch.zeros((*self._lead, *shape), device=self._device)
        try:
            result = _pick(self._model(tensor), self._output)
        except Exception as error:  # a network may refuse a size in any way
            self.refusal = error
            return None
        size = tuple(result.shape[result.ndim - self.dims :])
        return Coordinate(size) if result.ndim >= self.dims and min(size) > 0 else None


def _pick(result: Any, output: int | str) -> torch.Tensor:
    if isinstance(result, Mapping):
        result = result[output] if output in result else list(result.values())[int(output)]
    elif isinstance(result, Sequence):
        result = result[int(output)]
    if not isinstance(result, torch.Tensor):
        raise TypeError(f"output {output!r} of the network is no tensor but {type(result)}")
    return result


def _copy_to(model: nn.Module, device: str) -> nn.Module:
    """Copy a model; its values go to the device directly, so that "meta" needs no memory."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        moved = torch.empty_like(parameter, device=device).copy_(parameter.detach())
        memo[id(parameter)] = nn.Parameter(moved.detach(), requires_grad=False)
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device=device).copy_(buffer)
    return copy.deepcopy(model, memo)
