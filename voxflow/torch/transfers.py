"""To a device and back, beside what it computes."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from voxflow.torch.tensors import to_array, to_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from voxflow.pipeline.data import Array
    from voxflow.torch.calls import Name


class Transfers:
    """Copies for the passes of one device. Threads may use it at once.

    The CPU shares memory, and nothing is to be done. CUDA copies on streams of its own: while one
    thread computes, others send and fetch. What is sent goes through pinned memory.

    Parameters
    ----------
    device
        The device, with its number.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._is_cuda = device.type == "cuda"
        if self._is_cuda:
            self._in, self._out, self._compute = (torch.cuda.Stream(device) for _ in range(3))

    def send(self, values: Mapping[Name, NDArray[Any] | Array]) -> tuple[dict[Name, Any], Any]:
        """Tensors on the device, and an event that is done when they are there; None: they are."""
        if not self._is_cuda:
            return {name: to_tensor(value, self.device) for name, value in values.items()}, None
        # Arrays may have been put on the device by others, on the usual stream.
        self._in.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._in):
            tensors = {name: to_tensor(value, self.device) for name, value in values.items()}
            return tensors, self._in.record_event()

    @contextmanager
    def computing(self, sent: list[tuple[dict[Name, Any], Any]]) -> Iterator[None]:
        """Compute with what was sent; at the end the device is done with it."""
        if not self._is_cuda:
            yield
            return
        # The model may have been put there, or trained, on the usual stream.
        self._compute.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._compute):
            for tensors, event in sent:
                self._compute.wait_event(event)
                for tensor in tensors.values():
                    tensor.record_stream(self._compute)
            yield
            self._compute.synchronize()

    def fetch(self, tensor: torch.Tensor) -> NDArray[Any]:
        """An array of a tensor that was computed; on the CPU it shares its memory."""
        if not self._is_cuda:
            return to_array(tensor)
        with torch.cuda.stream(self._out):
            tensor.record_stream(self._out)
            staging = tensor.to("cpu", non_blocking=True)  # pinned
            self._out.synchronize()
        return to_array(staging.clone())  # pinned memory is scarce, and goes back


@cache
def transfers_of(device: torch.device) -> Transfers:
    """Those of a device; a process has one for each."""
    return Transfers(device)
