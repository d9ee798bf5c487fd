"""Processes that train one model together, as `torchrun` starts them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long processes wait for one that validates, or at whose console somebody sits. One that died
# is noticed by `torchrun`.
_PATIENCE = timedelta(days=1)


class Ranks:
    """The processes of a training; one of them, outside of `torchrun`.

    Parameters
    ----------
    rank, count
        Which of how many processes this is.

    Examples
    --------
    >>> Ranks().first, Ranks().largest(3)
    (True, 3)
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank = rank
        self.count = count

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of a value over all processes, without its history."""
        value = value.detach()
        if self.count == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.count

    def largest(self, value: int) -> int:
        """The largest of the values of all processes."""
        if self.count == 1:
            return value
        found = torch.tensor(value, device=_where())
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def agreed(self, value: Any) -> Any:
        """What the first process has."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, device=_where())
        return values[0]

    def wrapped(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model with gradients that are means over the processes; all begin as the first."""
        if self.count == 1:
            return model
        return torch.nn.parallel.DistributedDataParallel(model)


def _where() -> torch.device:
    if distributed.get_backend() != "nccl":
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, for the time of a block.

    Parameters
    ----------
    device
        Where is computed: processes with CUDA devices talk by NCCL, the others by Gloo.
    """
    if distributed.is_available() and distributed.is_initialized():
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The device of this process: where CUDA was asked for, the one of its number on the machine.

    >>> own_device(torch.device("cpu"))
    device(type='cpu')
    """
    if device != torch.device("cuda"):
        return device
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
