"""How much memory a model takes for one pass, without computing anything."""

from __future__ import annotations

import copy
import weakref
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["held_at_most"]

_BLOCK = 16  # channels that oneDNN keeps side by side


def held_at_most(
    model: torch.nn.Module, positional: Sequence[torch.Tensor], named: Mapping[str, torch.Tensor]
) -> int | None:
    """How many bytes of tensors are held at once while a model answers, on a CPU.

    All operators are called with tensors that have no values. What is added is that a convolution
    has its input once more, in blocks of 16 channels, as oneDNN does. Parameters are not counted.

    Parameters
    ----------
    model
        The model, in the mode in which it will be used.
    positional, named
        Its arguments, of the device "meta", which hold nothing.

    Returns
    -------
    int | None
        Without the arguments; None if the model does not work with such tensors.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.AvgPool1d(2))
    >>> held_at_most(model, [torch.empty((1, 1, 100), device="meta")], {})
    600
    """
    try:
        apart = _without_values(model)
        with torch.no_grad(), _Held() as held:
            apart(*positional, **named)
    except Exception:
        return None  # it looks at values, or makes tensors elsewhere
    most: int = held.most
    return most


def _without_values(model: torch.nn.Module) -> torch.nn.Module:
    """A copy that has no values: a model may keep what it makes of its input."""
    tensors = [*model.parameters(), *model.buffers()]
    copied = copy.deepcopy(model, {id(t): t.detach().to("meta") for t in tensors})
    for module in copied.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return copied


class _Held(TorchDispatchMode):
    """Adds up the memory of tensors that operators make, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._now = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = [t.untyped_storage() for t in tree_leaves((args, kwargs)) if torch.is_tensor(t)]
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if torch.is_tensor(tensor) and tensor.untyped_storage() not in given:
                self._add(tensor.untyped_storage())
        self.most = max(self.most, self._now + _besides(func, args))
        return result

    def _add(self, storage: Any) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self._now += storage.nbytes()
            weakref.finalize(storage, self._forget, storage.nbytes())

    def _forget(self, nbytes: int) -> None:
        self._now -= nbytes


def _besides(func: Any, args: tuple[Any, ...]) -> int:
    """What an operator holds besides its arguments and results."""
    if func is not torch.ops.aten.convolution.default or all(n == 1 for n in args[1].shape[2:]):
        return 0
    channels: int = args[0].shape[1]
    size: int = args[0].nbytes // channels
    return size * _BLOCK * ceil(channels / _BLOCK)
