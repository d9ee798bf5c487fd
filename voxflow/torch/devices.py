"""Where to compute."""

from __future__ import annotations

import logging

import torch

logger = logging.getLogger(__name__)


def choose_device(device: str | torch.device) -> torch.device:
    """The device to compute on.

    Parameters
    ----------
    device
        "auto" takes a GPU if there is one, and logs its choice. Anything else has to be there.

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
        chosen = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        logger.info("device='auto': computing on %s", chosen)
        return chosen
    wanted = torch.device(device)
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(
            f"device={str(device)!r} was asked for, and torch sees {torch.cuda.device_count()} "
            "CUDA devices. Use device='auto' to take what is there, or device='cpu'."
        )
    return wanted
