"""Torch's random draws, such as dropout, from a seed, with nobody else's generator touched."""

from __future__ import annotations

import torch


class drawing_from:  # noqa: N801 -- it is a block, and a step has one: a generator takes longer
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

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._used = [torch.default_generator, *_of_device(device)]

    def __enter__(self) -> None:
        self._states = [generator.get_state() for generator in self._used]
        for generator in self._used:
            generator.manual_seed(self._seed)

    def __exit__(self, *error: object) -> None:
        for generator, state in zip(self._used, self._states, strict=True):
            generator.set_state(state)


def _of_device(device: torch.device) -> list[torch.Generator]:
    if device.type != "cuda":
        return []
    torch.cuda.init()
    number = torch.cuda.current_device() if device.index is None else device.index
    return [torch.cuda.default_generators[number]]
