"""From numpy to torch and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

# Torch computes with signed integers; unsigned ones are widened to the next that holds them.
_WIDER = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64}


def to_tensor(data: np.ndarray[Any, Any], device: torch.device | str = "cpu") -> torch.Tensor:
    """A tensor of an array, without a copy where torch can take the array as it is.

    Mirrored views, read-only arrays and foreign byte orders are copied. uint16 becomes int32,
    uint32 and uint64 become int64.

    Parameters
    ----------
    data
        An array of any shape.
    device
        Where the tensor goes.

    Returns
    -------
    torch.Tensor
        Of the same shape.

    Raises
    ------
    OverflowError
        If a uint64 value does not fit into int64.

    Examples
    --------
    >>> to_tensor(np.arange(3, dtype=np.uint16)[::-1])
    tensor([2, 1, 0], dtype=torch.int32)
    """
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if data.dtype == np.uint64:
        if data.size and data.max() > np.iinfo(np.int64).max:
            raise OverflowError(
                f"torch has no uint64 to compute with, and {data.max()} does not fit into int64; "
                "renumber the ids first"
            )
        data = data.astype(np.int64)
    elif data.dtype in _WIDER:
        data = data.astype(_WIDER[data.dtype])
    if any(stride < 0 for stride in data.strides) or not data.flags.writeable:
        data = data.copy()
    return torch.from_numpy(data).to(device)


def to_array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """An array of a tensor, on the CPU and without its history.

    The array shares its memory with a tensor on the CPU. bfloat16, which numpy has not, becomes
    float32.
    """
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: np.ndarray[Any, Any] = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    return array
