"""Torch's random draws, such as dropout, from a seed, with nobody else's generator touched."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def drawing_from(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch draw from a seed, and go on afterwards as if nothing had been drawn.

    Parameters
    ----------
    seed
        The seed.
    device
        Where is drawn, beside the CPU.

    Examples
    --------
    >>> cpu = torch.device("cpu")
    >>> with drawing_from(1, cpu):
    ...     one = torch.rand(3)
    >>> with drawing_from(1, cpu):
    ...     torch.equal(one, torch.rand(3))
    True
    """
    used = [torch.default_generator, *_of_device(device)]
    states = [generator.get_state() for generator in used]
    try:
        for generator in used:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(used, states, strict=True):
            generator.set_state(state)


def _of_device(device: torch.device) -> list[torch.Generator]:
    if device.type != "cuda":
        return []
    torch.cuda.init()
    number = torch.cuda.current_device() if device.index is None else device.index
    return [torch.cuda.default_generators[number]]
