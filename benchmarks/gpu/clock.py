"""Time on a device that works while the program goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch


def finished(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function: Callable[[], Any], device: torch.device, rounds: int) -> float:
    """How long it takes until the device is done, median; it is done once before."""
    function()
    times = []
    for _ in range(rounds):
        finished(device)
        start = time.perf_counter()
        function()
        finished(device)
        times.append(time.perf_counter() - start)
    return median(times)


class Busy:
    """Sums up how long a device is busy with what is done within."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spans: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        self._begin = self._mark()

    def __exit__(self, *_: object) -> None:
        self._spans.append((self._begin, self._mark()))

    def watch(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Count each step of a training, from the forward pass to the update."""
        model.register_forward_pre_hook(lambda *_: self.__enter__())
        optimizer.register_step_post_hook(lambda *_: self.__exit__())

    def _mark(self) -> Any:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event

    def total(self) -> float:
        """Seconds so far."""
        finished(self._device)
        if self._device.type != "cuda":
            return sum(end - begin for begin, end in self._spans)
        return sum(begin.elapsed_time(end) for begin, end in self._spans) / 1e3

    def clear(self) -> None:
        """Begin anew."""
        self._spans.clear()
