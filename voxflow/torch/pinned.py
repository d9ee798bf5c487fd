"""From memory of this machine to a CUDA device, without waiting for it.

A device reads by itself only from memory that is pinned. Arrays of workers lie in slots, which are
used again and again: a slot is pinned once, where it is, and nothing is copied on the way. All else
is copied into pinned memory, which torch keeps for the next time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from voxflow.pipeline.engine.workers.slots import SlotMemory, slot_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_PORTABLE = 1  # cudaHostRegisterPortable: pinned for all devices

_lock = threading.Lock()


class RegisteredSlots:
    """Pins the slots that arrays lie in, each at its first use, until it is unmapped.

    Parameters
    ----------
    cudart
        Has ``cudaHostRegister(address, nbytes, flags)`` and ``cudaHostUnregister(address)``, which
        return 0 if they could; ``torch.cuda.cudart()``.
    on_failure
        Called once a slot could not be pinned. No further one is tried then.
    """

    def __init__(self, cudart: Any, on_failure: Callable[[], None] = lambda: None) -> None:
        self._cudart = cudart
        self._on_failure = on_failure
        self._failed = False
        self._pinned: WeakKeyDictionary[SlotMemory, bool] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def hold(self, array: NDArray[Any]) -> bool:
        """Whether an array lies in a slot that is pinned, after this call if not before."""
        memory = slot_of(array)
        if memory is None:
            return False
        with self._lock:
            if memory not in self._pinned:
                self._pinned[memory] = not self._failed and self._register(memory)
            return self._pinned[memory]

    def _register(self, memory: SlotMemory) -> bool:
        try:
            code = int(self._cudart.cudaHostRegister(memory.address, len(memory), _PORTABLE))
            reason = f"CUDA error {code}"
        except RuntimeError as error:
            code, reason = -1, str(error)
        if code == 0:
            memory.before_unmapping(partial(self._cudart.cudaHostUnregister, memory.address))
            return True
        self._failed = True
        logger.warning(
            "the memory that workers hand batches over in cannot be pinned (%s): batches are "
            "copied once more on their way to the GPU. A limit on locked memory (ulimit -l) may "
            "be the reason",
            reason,
        )
        self._on_failure()
        return False


class InFlight:
    """Keeps arrays that a device may still be reading: their slots must not go back to workers."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Any, NDArray[Any]]] = deque()
        self._lock = threading.Lock()

    def keep(self, event: Any, array: NDArray[Any]) -> None:
        """Keep an array until ``event.query()`` says that what was asked for before it is done."""
        self.release()
        with self._lock:
            self._kept.append((event, array))

    def release(self) -> None:
        """Let go of what was read."""
        with self._lock:
            while self._kept and self._kept[0][0].query():
                self._kept.popleft()

    def __len__(self) -> int:
        return len(self._kept)


def sendable(
    data: NDArray[Any], slots: RegisteredSlots, pin: bool = True
) -> tuple[torch.Tensor, bool]:
    """A pinned tensor of an array, and whether it is the memory of the array itself.

    Parameters
    ----------
    data
        Of a type that torch has.
    slots
        Where arrays of workers lie.
    pin
        Whether the tensor that is copied to is pinned; only where there is CUDA.
    """
    if data.flags.c_contiguous and data.flags.writeable and slots.hold(data):
        return torch.from_numpy(data), True
    kind = torch.from_numpy(np.empty(0, data.dtype)).dtype
    staging = torch.empty(data.shape, dtype=kind, pin_memory=pin)
    if is_shared(data):
        staging.copy_(torch.from_numpy(data))  # by all threads of torch
    else:
        np.copyto(staging.numpy(), data)
    return staging, False


def is_shared(data: NDArray[Any]) -> bool:
    """Whether a tensor may share the memory of an array: it may be written to, nothing mirrored.

    Nor is it the field of a record, whose steps are not those of whole numbers of voxels.
    """
    return data.flags.writeable and all(s >= 0 and s % data.itemsize == 0 for s in data.strides)


class Sender:
    """Copies arrays to a device that reads by itself.

    Parameters
    ----------
    slots
        Where arrays of workers lie.
    record
        Gives for a device an event that is done when all is that the device was told before.
    pin
        As for `sendable`.
    """

    def __init__(
        self, slots: RegisteredSlots, record: Callable[[torch.device], Any], pin: bool = True
    ) -> None:
        self.in_flight = InFlight()
        self._slots = slots
        self._record = record
        self._pin = pin

    def send(self, data: NDArray[Any], device: torch.device) -> torch.Tensor:
        """A tensor of an array on the device, which may read the array after this has returned."""
        tensor, itself = sendable(data, self._slots, self._pin)
        sent = tensor.to(device, non_blocking=True)
        if itself:
            self.in_flight.keep(self._record(device), data)
        return sent


def upload(data: NDArray[Any], device: torch.device) -> torch.Tensor:
    """A tensor of an array on a device.

    A CUDA device may read the array after this has returned, if it is that of a worker: whoever
    writes to it has to wait until then. The CPU shares the memory of arrays that may be written to
    and have no mirrored axes, and copies others.

    Parameters
    ----------
    data
        Of a type that torch has.
    device
        Where to.
    """
    if device.type == "cuda":
        with _lock:
            sender = _sender()
        return sender.send(data, device)
    tensor = torch.from_numpy(data if is_shared(data) else data.copy())
    return tensor if device.type == "cpu" else tensor.to(device)


@cache
def _sender() -> Sender:
    """That of this process."""
    torch.cuda.init()
    return Sender(RegisteredSlots(torch.cuda.cudart(), _forget_error), _recorded)


def _recorded(device: torch.device) -> Any:
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(device))
    return event


def _forget_error() -> None:
    """CUDA tells of an error again at the next kernel that is started, whatever that is."""
    with contextlib.suppress(RuntimeError):
        torch.zeros(1, device="cuda")
