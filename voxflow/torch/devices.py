"""Where to compute."""

from __future__ import annotations

import logging
import os
from functools import cache

import torch

logger = logging.getLogger(__name__)


def choose_device(device: str | torch.device) -> torch.device:
    """The device to compute on.

    Parameters
    ----------
    device
        "auto" takes a GPU if there is one, of several the one with the most free memory, and logs
        its choice; a warning if it is the CPU. Anything else has to be there.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    RuntimeError
        If the device is not there.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        if torch.cuda.is_available():
            free = _freest()
            logger.info("device='auto': computing on %s", free)
            return free
        logger.warning("device='auto': torch sees no CUDA device, computing on the CPU")
        return torch.device("cpu")
    wanted = torch.device(device)
    if wanted.type == "cuda":
        # Counted, not tried: this process may be one that only ships the model to others.
        missing = (wanted.index or 0) >= torch.cuda.device_count()
    else:
        missing = not _works(wanted)
    if missing:
        raise RuntimeError(
            f"device={str(device)!r} was asked for and is not there; torch sees "
            f"{torch.cuda.device_count()} CUDA devices. Use device='auto' to take what is there, "
            "or device='cpu'."
        )
    return wanted


@cache
def _freest() -> torch.device:
    """The GPU with the most free memory: asked for once, so that all of a process is on one.

    Processes that train together have their numbers, and one that uses a GPU keeps to it.
    """
    count = torch.cuda.device_count()
    if count < 2 or "LOCAL_RANK" in os.environ or torch.cuda.is_initialized():
        return torch.device("cuda")
    # Asking leaves a context of a few hundred MB on each GPU, so one alone is not asked.
    return torch.device("cuda", max(range(count), key=lambda i: torch.cuda.mem_get_info(i)[0]))


def _works(device: torch.device) -> bool:
    try:
        torch.empty(1, device=device)
    except Exception:
        return False
    return True


def check_device(device: str | torch.device) -> None:
    """Raise if a device is not there, where that can be known already.

    A process that sees no CUDA device may be one that ships the model to others that do: there, it
    is known only once something is to be computed.

    Raises
    ------
    RuntimeError
        If the device is not there, or there is none of that name.
    """
    if device == "auto" or (torch.device(device).type == "cuda" and not torch.cuda.device_count()):
        return
    choose_device(device)


def with_number(device: torch.device) -> torch.device:
    """The device as tensors on it name it.

    >>> with_number(torch.device("cpu"))
    device(type='cpu')
    """
    return torch.empty(0, device=device).device
